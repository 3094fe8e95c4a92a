# GoPro for deblurring at full size, RGB: 22 clips to train on, 11 to test.
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
    num_workers=4,
    batch_size=4,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='VideoClipDataset',
        metainfo=dict(dataset_type='GoPro', task_name='deblurring'),
        data_root='data/GoPro',
        data_prefix=dict(img='train/blur', gt='train/sharp'),
        prepare='gopro',
        scale=1,
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
        metainfo=dict(dataset_type='GoPro', task_name='deblurring'),
        data_root='data/GoPro',
        data_prefix=dict(img='test/blur', gt='test/sharp'),
        prepare='gopro',
        scale=1,
        test_mode=True,
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='Evaluator', metrics=[dict(type='PSNR'), dict(type='SSIM')])
test_evaluator = val_evaluator
