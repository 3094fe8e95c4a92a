# A small S2SVR for x4 super-resolution whose frozen flow is exchanged: what better flow is worth
# to restoration (docs/optical_flow.md). A training takes a quarter of an hour of a core.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/clips_bicubic_x4.py',
    '_base_/schedules/adam_warmup_cosine_2500.py',
]

model = dict(
    generator=dict(
        type='S2SVRPlusNet',
        mid_channels=16,
        num_blocks=1,
        num_layers=2,
        slim_heads=True,
        flow_estimator=dict(
            _delete_=True,
            type='FinePWCLite',
            coarse=dict(type='PWCLite', normalize_features=True, context_levels=4),
            init_cfg=dict(type='Pretrained', checkpoint='s2svr://flow_teacher'),
        ),
    ),
    train_cfg=dict(fix_iter=10_000_000),
)

train_pipeline = [
    dict(type='LoadClip'),
    dict(type='FixedCrop', keys=['gt'], crop_size=(146, 146)),
    *_base_.train_pipeline[2:],
]
train_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    dataset=dict(num_input_frames=5, pipeline=train_pipeline),
)
train_cfg = dict(max_iters=3000, val_interval=3000)
