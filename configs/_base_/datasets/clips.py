# A person's own clips, two folders each for training and validation: `train/lq`, `train/gt`,
# `val/lq`, `val/gt` (folders of frames, videos or raw YUV files; counterparts have one name).
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='PairedRandomCrop', gt_patch_size=256),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
val_pipeline = [dict(type='LoadClip'), dict(type='PackInputs')]

train_dataloader = dict(
    num_workers=2,
    batch_size=4,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='VideoClipDataset',
        data_root='data/clips',
        data_prefix=dict(img='train/lq', gt='train/gt'),
        prepare='clips',
        scale=4,
        num_input_frames=7,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=1,
    batch_size=1,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='VideoClipDataset',
        data_root='data/clips',
        data_prefix=dict(img='val/lq', gt='val/gt'),
        prepare='clips',
        scale=4,
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='Evaluator',
    metrics=[dict(type='PSNR', convert_to='Y'), dict(type='SSIM', convert_to='Y')],
)
test_evaluator = val_evaluator
