# mmagic's schedule of BasicVSR and IconVSR.
_base_ = ['adam_cosine.py']

optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys={'spynet': dict(lr_mult=0.125)}),
)
train_cfg = dict(max_iters=300_000)

# While SPyNet and EDVR are frozen they get no gradient.
find_unused_parameters = True
