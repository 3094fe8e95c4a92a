# Student for x4 super-resolution: MATLAB's bicubic downsampling.
_base_ = ['flow_student_compress.py']

down = dict(type='BicubicDownsample', scale=4)
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(384, 384)),
    *_base_.flips,
    down,
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=[*_base_.load_pair, down, _base_.pack_pair]))
test_dataloader = val_dataloader
