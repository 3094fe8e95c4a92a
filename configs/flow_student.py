# One student for frames that are small, blurred, compressed or noisy, and for good ones. It starts
# as its teacher, s2svr://flow_teacher. Three of four pairs have a synthetic flow; the rest are real
# neighbours, clean and degraded in all pairings, whose label is the teacher's flow on the clean
# ones, averaged over mirrored frames and kept in data/flow_labels. (Steps of least squares after
# that, label='flips+refine', make the labels of this teacher worse.) Sizes differ, so a batch is
# one clip, and four make a step.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/flow_distillation.py',
    '_base_/datasets/flow_degraded.py',
    '_base_/schedules/flow.py',
]

teacher = _base_.trained
model = dict(
    flow_head=dict(label='flips', pairings='all'),
    # The robust distance of the default hardly pulls where the error is large.
    warp_loss=dict(type='FlowDistillLoss', q=1.0),
)

copy = dict(type='CopyValues', src_keys=['gt'], dst_keys=['img'])
down = dict(type='BicubicDownsample', scale=4)
down_2 = dict(type='BicubicDownsample', scale=2)
compress = dict(type='CompressVideo', qp=[22, 27, 32, 37, 42])
compress_264 = dict(type='CompressVideo', codec='libx264', qp=[22, 27, 32, 37, 42])
noise = dict(
    type='RandomNoise',
    keys=['img'],
    params=dict(
        noise_type=['gaussian'], noise_prob=[1], gaussian_sigma=[2, 25], gaussian_gray_noise_prob=0
    ),
)
moved = dict(type='KnownMotion', max_motion=16.0, variation=0.3)

load_labels = dict(
    type='LoadFlowLabels',
    root='data/flow_labels',
    teacher=dict(type='FlowLabeler', estimator=teacher, label='flips'),
)
flip_labels = [
    dict(type='FlipFlowLabels', direction='horizontal'),
    dict(type='FlipFlowLabels', direction='vertical'),
]


keys = ['gt', 'flow_label']


def crop(size, keys=('gt',)):
    return dict(type='FixedCrop', keys=list(keys), crop_size=(size, size))


synthetic = dict(
    type='RandomChoice',
    transforms=[
        [crop(160), moved, copy],
        [crop(288), moved, down],
        [crop(224), moved, down_2],
        [crop(160), moved, dict(type='PairMotionBlur', exposure=0.5)],
        [crop(160), moved, dict(type='PairMotionBlur', exposure=1.0)],
        [crop(160), moved, compress],
        [crop(160), moved, compress_264],
        [crop(160), moved, copy, noise],
    ],
    prob=[0.125, 0.3125, 0.125, 0.0625, 0.0625, 0.125, 0.125, 0.0625],
)
real = dict(
    type='RandomChoice',
    transforms=[
        [crop(256, keys), down],
        [crop(192, keys), down_2],
        [crop(128, keys), dict(type='PairMotionBlur', exposure=1.0)],
        [crop(128, keys), compress],
        [crop(128, keys), compress_264],
        [crop(128, keys), copy, noise],
    ],
    prob=[0.4, *[0.12] * 5],
)
train_pipeline = [
    dict(type='LoadClip'),
    dict(
        type='RandomChoice',
        transforms=[[*_base_.flips, synthetic], [load_labels, *flip_labels, real]],
        prob=[0.75, 0.25],
    ),
    dict(type='PackInputs', data_keys=['gt_flow', 'flow_label']),
]
train_dataloader = dict(batch_size=1, dataset=dict(interval_list=[1], pipeline=train_pipeline))

optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    accumulative_counts=4,
    paramwise_cfg=dict(custom_keys=dict(coarse=dict(lr_mult=0.5))),
)
train_cfg = dict(max_iters=160_000)
# The last weights count: the pairs with true flow give figures, they choose nothing.
default_hooks = dict(checkpoint=dict(interval=5000, save_best=None))

# What is saved and tested is the average of about the last 1000 steps.
custom_hooks = [dict(type='EMAHook', momentum=0.0005)]
