# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A config that trains and tests within seconds."""

TINY = """
_base_ = {runtime!r}
custom_imports = dict(imports=['s2svr_mm', 'helpers.tiny_flow'])

model = dict(
    type='S2SVR',
    generator=dict(
        type='S2SVRNet',
        mid_channels=4,
        num_blocks=1,
        num_layers=2,
        scale=4,
        flow_estimator=dict(type='TinyFlow'),
    ),
    pixel_loss=dict(type='CharbonnierLoss', loss_weight=1.0, reduction='mean'),
    train_cfg=dict(fix_iter=3),
    data_preprocessor=dict(type='DataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3),
)

clips = dict(
    type='VideoClipDataset', data_root={clips!r}, data_prefix=dict(img='lq', gt='gt'), scale=4
)
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='PairedRandomCrop', gt_patch_size=64),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadClip'), dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(num_input_frames=2, pipeline=train_pipeline, **clips),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(test_mode=True, pipeline=test_pipeline, **clips),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='Evaluator', metrics=[dict(type='PSNR'), dict(type='SSIM')])
test_evaluator = val_evaluator

train_cfg = dict(type='ResumableTrainLoop', max_iters=6, val_interval=6)
val_cfg = dict(type='WindowedValLoop')
test_cfg = dict(type='WindowedTestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.99)))
param_scheduler = dict(
    type='CosineRestartLR', by_epoch=False, periods=[6], restart_weights=[1], eta_min=1e-7
)
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
"""
