# S2SVR for deblurring, learnt from your own sharp clips in data/clips (docs/train.md),
# with a quarter of the paper's arithmetic.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/clips_blurred.py',
    '_base_/schedules/adam_cosine_2e-4.py',
]

model = dict(generator=dict(mid_channels=32, num_blocks=8, scale=1))
train_cfg = dict(max_iters=100_000)
