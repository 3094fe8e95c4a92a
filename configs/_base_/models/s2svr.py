# S2SVR of the paper's size: 11.5 M parameters at x4, PWC-Lite's 2.2 M among them.
model = dict(
    type='S2SVR',
    generator=dict(
        type='S2SVRNet',
        mid_channels=64,
        num_blocks=13,
        num_layers=3,
        scale=4,
        flow_estimator=dict(type='PWCLite'),
    ),
    pixel_loss=dict(type='CharbonnierLoss', loss_weight=1.0, reduction='mean'),
    train_cfg=dict(fix_iter=10_000),
    data_preprocessor=dict(
        type='DataPreprocessor', mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]
    ),
)
