# A person's own good clips, `train/gt` and `val/gt`, made four times smaller while they are loaded.
_base_ = ['clips_compressed.py']

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(210, 210)),
    # By up to 3 pixels a frame: of the 9 at each side, none is left.
    dict(type='AddMotion'),
    dict(type='BicubicDownsample', scale=4),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=0.5),
    dict(type='PackInputs'),
]
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='BicubicDownsample', scale=4),
    dict(type='PackInputs', meta_keys=['key']),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    metrics=[dict(type='PSNR', convert_to='Y'), dict(type='SSIM', convert_to='Y')],
)
test_evaluator = val_evaluator
