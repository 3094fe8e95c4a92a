# A BasicVSR of the size of s2svr_demo, on the same data and by the same rules.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/basicvsr.py',
    '_base_/datasets/demo.py',
    '_base_/schedules/adam_cosine.py',
]

model = dict(
    generator=dict(mid_channels=16, num_blocks=6, spynet_pretrained=None),
    train_cfg=dict(fix_iter=0),
)
optim_wrapper = dict(optimizer=dict(lr=1.5e-3))
train_cfg = dict(max_iters=500)
default_hooks = dict(logger=dict(interval=20))
log_processor = dict(window_size=20)
