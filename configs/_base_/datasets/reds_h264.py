# REDS4 compressed by H.264 at CRF 15, 25 and 35, frames keep their size, RGB: the protocol of
# PnP-VCVE (CVPR 2025). Clips are compressed while they are loaded, whole ones to test on, patches
# to train on.
_base_ = ['paired_clips.py']


def h264(*crf):
    codec = dict(codec='libx264', crf=crf, keyint=(250, 250), bframes=(3, 3))
    return dict(type='RandomCompressVideo', codecs=[codec])


def tested(crf):
    return dict(
        _base_.val_dataloader,
        dataset=dict(
            type='VideoClipDataset',
            test_mode=True,
            ann_file='meta_info_reds4_val.txt',
            pipeline=[
                dict(type='LoadClip'),
                h264(crf, crf),
                dict(type='PackInputs', meta_keys=['key']),
            ],
            **reds,
        ),
    )


def measured(crf):
    metrics = [dict(type='PSNR'), dict(type='SSIM')]
    one = dict(type='PerClip', prefix=f'crf{crf}', metrics=metrics, num_clips=4, num_frames=400)
    return dict(type='Evaluator', metrics=one)


reds = dict(data_root='data/REDS', data_prefix=dict(gt='train_sharp'), prepare='reds')
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(256, 256)),
    h264(13, 37),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    dataset=dict(
        ann_file='meta_info_reds4_train.txt', num_input_frames=15, pipeline=train_pipeline, **reds
    )
)
val_dataloader = [tested(crf) for crf in (15, 25, 35)]
test_dataloader = val_dataloader
val_evaluator = [measured(crf) for crf in (15, 25, 35)]
test_evaluator = val_evaluator
