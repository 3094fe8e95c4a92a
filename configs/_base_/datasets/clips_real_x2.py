# A person's own good clips, `train/gt` and `val/gt`, made what people's footage is while they are
# loaded: half the size, often soft and noisy, mostly compressed.
_base_ = ['paired_clips.py']

codecs = [
    dict(
        codec='libx264',
        weight=5,
        crf=(17, 34),
        bits=(0.05, 0.6),
        presets=['ultrafast', 'veryfast', 'medium', 'slow'],
    ),
    dict(
        codec='libx265',
        weight=2,
        crf=(19, 36),
        bits=(0.03, 0.4),
        presets=['ultrafast', 'veryfast', 'medium'],
    ),
    dict(codec='libvpx-vp9', weight=2, crf=(20, 50), bits=(0.03, 0.4), presets=['4', '6', '8']),
    dict(codec='mpeg4', weight=1, qp=(2, 10), bits=(0.1, 1.0)),
]
soft = dict(
    type='RandomBlur',
    keys=['img'],
    params=dict(
        prob=0.5,
        kernel_size=[7],
        kernel_list=['iso', 'aniso'],
        kernel_prob=[0.7, 0.3],
        sigma_x=[0.2, 1.4],
        sigma_y=[0.2, 1.4],
        rotate_angle=[-3.1416, 3.1416],
    ),
)
noise = dict(
    type='RandomNoise',
    keys=['img'],
    params=dict(
        noise_type=['gaussian'],
        noise_prob=[1],
        gaussian_sigma=[0.5, 6],
        gaussian_gray_noise_prob=0.4,
    ),
)
compress = dict(type='RandomCompressVideo', codecs=codecs, lead_in=8)
take_gt = dict(type='CopyValues', src_keys=['gt'], dst_keys=['img'])
# One clip in five is neither noisy nor compressed.
sent = dict(
    type='RandomChoice',
    transforms=[[], [compress], [noise, compress]],
    prob=[0.2, 0.5, 0.3],
)
flips = [
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
]

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(184, 184)),
    # By up to 3 pixels a frame: of the 12 at each side, none is left.
    dict(type='AddMotion', prob=0.5),
    take_gt,
    soft,
    dict(type='BicubicDownsample', scale=2),
    sent,
    *flips,
    dict(type='PackInputs'),
]
clips = dict(data_root='data/clips', prepare='clips')
train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(
        data_prefix=dict(gt='train/gt'), num_input_frames=9, pipeline=train_pipeline, **clips
    ),
)


# Validated on clean frames and on H.264 as `s2svr compare --degrade crf23` makes it.
def tested(*transforms):
    return dict(
        num_workers=1,
        batch_size=1,
        persistent_workers=False,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            type='VideoClipDataset',
            test_mode=True,
            data_prefix=dict(gt='val/gt'),
            num_input_frames=16,
            pipeline=[
                dict(type='LoadClip'),
                *transforms,
                dict(type='PackInputs', meta_keys=['key']),
            ],
            **clips,
        ),
    )


def sent_by_h264(crf):
    codec = dict(codec='libx264', crf=(crf, crf), keyint=(250, 250), bframes=(3, 3))
    return dict(type='RandomCompressVideo', codecs=[codec])


def measured(name):
    metrics = [dict(type='PSNR', convert_to='Y'), dict(type='SSIM', convert_to='Y')]
    return dict(type='Evaluator', metrics=dict(type='PerClip', prefix=name, metrics=metrics))


down = dict(type='BicubicDownsample', scale=2)
val_dataloader = [tested(down), tested(down, sent_by_h264(23)), tested(down, sent_by_h264(28))]
test_dataloader = val_dataloader
val_evaluator = [measured('clean'), measured('crf23'), measured('crf28')]
test_evaluator = val_evaluator
