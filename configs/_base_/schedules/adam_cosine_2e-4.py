# Adam from 2e-4, the flow at a quarter of the rate, as the release trains on GoPro. (It lowers
# the rate of a module "spynet", which its network does not have; a quarter, as on REDS, is meant.)
_base_ = ['adam_cosine.py']

optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys={'flow_estimator': dict(lr_mult=0.25)}),
)
