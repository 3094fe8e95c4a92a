# A small S2SVR, 3.0 M parameters at x4, of which PWC-Lite has 2.2 M. Its flow was distilled
# (configs/flow_student.py) and is kept as it is: after so few iterations the loss of restoration
# alone makes it worse, not better.
_base_ = ['s2svr.py']

model = dict(
    generator=dict(
        mid_channels=32,
        num_blocks=2,
        num_layers=2,
        flow_estimator=dict(
            normalize_features=True,
            init_cfg=dict(type='Pretrained', checkpoint='s2svr://flow_student'),
        ),
    ),
    train_cfg=dict(fix_iter=10_000_000),
)
