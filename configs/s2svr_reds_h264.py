# S2SVR for the enhancement of REDS compressed by H.264, one network for all rates. Its authors have
# published none: these are the settings for GoPro.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/reds_h264.py',
    '_base_/schedules/adam_cosine_2e-4.py',
]

model = dict(generator=dict(mid_channels=48, scale=1), train_cfg=dict(fix_iter=5000))
train_cfg = dict(max_iters=200_000)
default_hooks = dict(checkpoint=dict(save_best='crf25/PSNR'))
