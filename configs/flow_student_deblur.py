# Student for deblurring: every second frame, each exposed for as long as the time between them.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/flow_distillation.py',
    '_base_/datasets/flow_clips.py',
    '_base_/schedules/flow.py',
]

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(192, 192)),
    dict(type='Flip', keys=['gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['gt'], flip_ratio=0.5, direction='vertical'),
    dict(type='AverageMotionBlur', num_frames=3, stride=2, in_between=7),
    dict(type='PackInputs'),
]
val_pipeline = [
    dict(type='LoadClip'),
    dict(type='LoadFlow'),
    dict(type='PairMotionBlur', exposure=1.0),
    dict(type='PackInputs', data_keys=['gt_flow', 'gt_valid']),
]
train_dataloader = dict(
    dataset=dict(
        data_prefix=dict(_delete_=True, gt='train/gt'),
        num_input_frames=5,
        interval_list=[1],
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_iters=40_000)
# The last weights count: the pairs with true flow give figures, they choose nothing.
default_hooks = dict(checkpoint=dict(interval=2500, save_best=None))
