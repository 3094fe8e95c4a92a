# One student for all three degradations, drawn clip by clip. Their sizes differ, so a batch is one
# clip, and four batches make a step.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/flow_distillation.py',
    '_base_/datasets/flow_clips.py',
    '_base_/schedules/flow.py',
]

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='Flip', keys=['gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['gt'], flip_ratio=0.5, direction='vertical'),
    dict(
        type='RandomChoice',
        transforms=[
            [
                dict(type='FixedCrop', keys=['gt'], crop_size=(256, 256)),
                dict(type='BicubicDownsample', scale=4),
            ],
            [
                dict(type='FixedCrop', keys=['gt'], crop_size=(192, 192)),
                dict(type='AverageMotionBlur', num_frames=3, stride=2, in_between=7),
            ],
            [
                dict(type='FixedCrop', keys=['gt'], crop_size=(160, 160)),
                dict(type='CompressVideo', qp=37),
            ],
        ],
    ),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=1,
    dataset=dict(
        data_prefix=dict(_delete_=True, gt='train/gt'),
        num_input_frames=5,
        interval_list=[1],
        pipeline=train_pipeline,
    ),
)

optim_wrapper = dict(optimizer=dict(lr=1e-4), accumulative_counts=4)
train_cfg = dict(max_iters=160_000)
# The last weights count: the pairs with true flow give figures, they choose nothing.
default_hooks = dict(checkpoint=dict(interval=10_000, save_best=None))
