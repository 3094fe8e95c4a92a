# Student for compressed video: x265 at QP 37. That for blur starts from here.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/flow_distillation.py',
    '_base_/datasets/flow_degraded.py',
    '_base_/schedules/flow.py',
]

compress = dict(type='CompressVideo', qp=37)
train_pipeline = [
    dict(type='LoadClip'),
    _base_.crop,
    *_base_.flips,
    compress,
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=[*_base_.load_pair, compress, _base_.pack_pair]))
test_dataloader = val_dataloader

optim_wrapper = dict(optimizer=dict(lr=1e-4))
train_cfg = dict(max_iters=40_000)
# The last weights count: the pairs with true flow give figures, they choose nothing.
default_hooks = dict(checkpoint=dict(interval=2500, save_best=None))
