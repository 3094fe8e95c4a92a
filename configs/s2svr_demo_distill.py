# The demo's network with an optical flow, which the head trains beside the restoration: the teacher
# sees the good frames, the student the small ones. To see what each part does
# (docs/optical_flow.md): --cfg-options model.flow_head.distill_loss=None leaves the photometric
# loss on the good frames, model.flow_head=None model.train_cfg.fix_iter=1000000 keeps the flow as
# it is.
_base_ = ['s2svr_demo.py']

# Smaller ones say little of a flow that is found on frames four times smaller.
train_pipeline = [
    dict(type='LoadClip'),
    dict(type='PairedRandomCrop', gt_patch_size=256),
    dict(type='Flip', keys=['img', 'gt'], flip_ratio=0.5, direction='horizontal'),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=300)

trained = dict(
    _delete_=True,
    type='PWCLite',
    normalize_features=True,
    init_cfg=dict(type='Pretrained', checkpoint='s2svr://flow_pwclite'),
)
model = dict(
    generator=dict(flow_estimator=trained),
    flow_head=dict(
        type='FlowDistillHead',
        teacher={key: value for key, value in trained.items() if key != '_delete_'},
        distill_loss=dict(type='FlowDistillLoss', loss_weight=0.1),
        photometric_loss=dict(
            type='PhotometricLoss',
            l1_weight=0.0,
            ssim_weight=0.0,
            census_weight=1.0,
            loss_weight=0.02,
        ),
        smoothness_loss=dict(type='EdgeAwareSmoothnessLoss', loss_weight=0.01),
    ),
)
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'flow_estimator': dict(lr_mult=0.05)}),
)
