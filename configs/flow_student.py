# One student for all three degradations, drawn clip by clip: mostly motion that is known because we
# made it, the rest real neighbours whose flow the teacher finds on the clean frames. Sizes differ,
# so a batch is one clip, and two batches make a step.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/flow_distillation.py',
    '_base_/datasets/flow_clips.py',
    '_base_/schedules/flow.py',
]

# The robust distance of the default hardly pulls where the error is large.
model = dict(warp_loss=dict(type='FlowDistillLoss', q=1.0))

moved = dict(type='KnownMotion', max_motion=16.0)
down = dict(type='BicubicDownsample', scale=4)
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='Flip', keys=['gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='Flip', keys=['gt'], flip_ratio=0.5, direction='vertical'),
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='FixedCrop', keys=['gt'], crop_size=(264, 264)), moved, down],
            # As a network with flow_input_size=2 sees small frames.
            [
                dict(type='FixedCrop', keys=['gt'], crop_size=(264, 264)),
                moved,
                down,
                dict(type='Resize', keys=['img'], scale=2.0, keep_ratio=True),
            ],
            [
                dict(type='FixedCrop', keys=['gt'], crop_size=(160, 160)),
                moved,
                dict(type='PairMotionBlur'),
            ],
            [
                dict(type='FixedCrop', keys=['gt'], crop_size=(160, 160)),
                moved,
                dict(type='CompressVideo', qp=37),
            ],
            [dict(type='FixedCrop', keys=['gt'], crop_size=(256, 256)), down],
            [
                dict(type='FixedCrop', keys=['gt'], crop_size=(192, 192)),
                dict(type='AverageMotionBlur', num_frames=3, stride=2, in_between=7),
            ],
            [
                dict(type='FixedCrop', keys=['gt'], crop_size=(160, 160)),
                dict(type='CompressVideo', qp=37),
            ],
        ],
        prob=[0.24, 0.24, 0.24, 0.24, 0.01, 0.02, 0.01],
    ),
    dict(type='PackInputs', data_keys=['gt_flow']),
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

optim_wrapper = dict(optimizer=dict(lr=2e-4), accumulative_counts=2)
train_cfg = dict(max_iters=160_000)
# The last weights count: the pairs with true flow give figures, they choose nothing.
default_hooks = dict(checkpoint=dict(interval=10_000, save_best=None))
