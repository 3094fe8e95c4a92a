# S2SVR for deblurring on GoPro, as the paper's release trains it: 8 clips a step.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/gopro.py',
    '_base_/schedules/adam_cosine.py',
]

model = dict(generator=dict(mid_channels=48, scale=1), train_cfg=dict(fix_iter=5000))

# The release lowers the rate of a module 'spynet', which its network does not have: its flow trains
# at the full rate. A quarter, as on REDS, is meant.
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys={'flow_estimator': dict(lr_mult=0.25)}),
)
train_cfg = dict(max_iters=200_000)
