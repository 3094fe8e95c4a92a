# A small S2SVR for x4 super-resolution whose frozen flow is exchanged: what better flow is worth
# to restoration (docs/optical_flow.md).
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/clips_bicubic_x4.py',
    '_base_/schedules/adam_warmup_cosine_2500.py',
]

model = dict(
    generator=dict(
        mid_channels=16,
        num_blocks=1,
        num_layers=2,
        flow_estimator=dict(
            _delete_=True,
            type='FinePWCLite',
            coarse=dict(type='PWCLite', normalize_features=True, context_levels=4),
            init_cfg=dict(type='Pretrained', checkpoint='s2svr://flow_teacher'),
        ),
    ),
    train_cfg=dict(fix_iter=10_000_000),
)
train_dataloader = dict(batch_size=1, num_workers=1, persistent_workers=True)
train_cfg = dict(max_iters=3000, val_interval=3000)
