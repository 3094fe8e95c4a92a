# A student for x4 super-resolution alone, short enough to be trained several times: half of the
# pairs have a synthetic flow, half are real neighbours with the teacher's (docs/optical_flow.md).
_base_ = ['flow_student.py']

down = dict(type='BicubicDownsample', scale=4)
synthetic = [
    *_base_.flips,
    dict(type='FixedCrop', keys=['gt'], crop_size=(288, 288)),
    _base_.moved,
    down,
]
real = [
    _base_.load_labels,
    *_base_.flip_labels,
    dict(type='FixedCrop', keys=['gt', 'flow_label'], crop_size=(256, 256)),
    down,
]
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='RandomChoice', transforms=[synthetic, real], prob=[0.5, 0.5]),
    dict(type='PackInputs', data_keys=['gt_flow', 'flow_label']),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=[*_base_.load_pair, down, _base_.pack_pair]))
test_dataloader = val_dataloader

# Clean pairs have sixteen times the pixels; their flow is not what this one is for.
model = dict(flow_head=dict(pairings='degraded'))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=1e-3, end=200),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-7),
]
train_cfg = dict(max_iters=4000, val_interval=4000)
# What is saved and tested is the average of about the last 200 steps.
custom_hooks = [dict(type='EMAHook', momentum=0.0025)]
