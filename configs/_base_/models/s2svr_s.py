# A small S2SVR, at x4 with 2.9 M parameters, of which PWC-Lite has 2.2 M. Its flow was trained
# without labels and is kept as it is, which nearly halves a step (0.45 s for 0.80). A last stage
# may train it too (s2svr_mm/weights/README.md).
_base_ = ['s2svr.py']

model = dict(
    generator=dict(
        type='S2SVRPlusNet',
        mid_channels=32,
        num_blocks=2,
        num_layers=2,
        brightness_window=17,
        flow_estimator=dict(
            normalize_features=True,
            init_cfg=dict(type='Pretrained', checkpoint='s2svr://flow_pwclite'),
        ),
    ),
    train_cfg=dict(fix_iter=10_000_000),
)
