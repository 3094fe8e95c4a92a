# mmagic's BasicVSR++ on the same data and by the same rules as s2svr_vimeo90k_bd, with mmagic's
# schedule for it, in which SPyNet is never frozen.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/basicvsr_pp.py',
    '../_base_/datasets/vimeo90k_bd.py',
    '../_base_/schedules/adam_cosine.py',
]

model = dict(train_cfg=dict(fix_iter=-1))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'spynet': dict(lr_mult=0.25)}))
train_cfg = dict(max_iters=300_000)
