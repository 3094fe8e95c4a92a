# S2SVR for deblurring on GoPro, as the paper's release trains it: 8 clips a step.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/gopro.py',
    '_base_/schedules/adam_cosine_2e-4.py',
]

model = dict(generator=dict(mid_channels=48, scale=1), train_cfg=dict(fix_iter=5000))
train_cfg = dict(max_iters=200_000)
