# A small S2SVR for demo/demo.py: minutes on two CPU cores. The demo sets the number of iterations.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/demo.py',
    '_base_/schedules/adam_cosine.py',
]

model = dict(
    generator=dict(
        mid_channels=16,
        num_blocks=1,
        num_layers=2,
        # Minutes do not train an optical flow, and PWC-Lite untrained says that nothing moves.
        # This says so too, and leaves a third more steps.
        flow_estimator=dict(_delete_=True, type='ZeroFlow'),
    ),
    train_cfg=dict(fix_iter=0),
)
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
train_cfg = dict(max_iters=500)
default_hooks = dict(logger=dict(interval=20))
log_processor = dict(window_size=20)
