# mmagic's IconVSR on the same data and by the same rules as s2svr_reds, with mmagic's schedule for
# it.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/iconvsr.py',
    '_base_/datasets/reds.py',
    '_base_/schedules/adam_cosine.py',
]

optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys={'spynet': dict(lr_mult=0.125)}),
)
train_cfg = dict(max_iters=300_000)

# While SPyNet and EDVR are frozen they get no gradient.
find_unused_parameters = True
