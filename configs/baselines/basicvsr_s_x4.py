# A BasicVSR with as many trained parameters as s2svr_s_x4, on the same data and by the same rules.
# SPyNet's weights as in _base_/models/basicvsr.py.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/basicvsr.py',
    '../_base_/datasets/clips_bicubic_x4.py',
    '../_base_/schedules/adam_warmup_cosine_2500.py',
]

model = dict(
    generator=dict(mid_channels=32, num_blocks=14),
    train_cfg=dict(fix_iter=10_000_000),
)
train_dataloader = dict(batch_size=1, num_workers=1, persistent_workers=True)

default_hooks = dict(checkpoint=dict(interval=250))
