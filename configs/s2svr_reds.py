# S2SVR for x4 super-resolution on REDS, as the paper's release trains it: 8 clips a step, say two
# GPUs with 4 each.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/reds.py',
    '_base_/schedules/adam_cosine.py',
]

optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'flow_estimator': dict(lr_mult=0.25)}))
