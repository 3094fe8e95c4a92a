# The same as s2svr_vimeo90k_bi for Gaussian blur and sampling, which the release has no config for.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/vimeo90k_bd.py',
    '_base_/schedules/adam_cosine.py',
]

# The release takes its step counter along from REDS, so that flow is never frozen here, which its
# config means to do: ours begins anew, and freezes it.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'flow_estimator': dict(lr_mult=0.25)}))
train_cfg = dict(max_iters=300_000)
load_from = 'work_dirs/s2svr_reds/iter_600000.pth'
