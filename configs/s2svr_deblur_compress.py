# One S2SVR for deblurring (GoPro) and for the enhancement of compressed video (MFQEv2, QP 37). The
# release has no config for it: these are the settings for GoPro.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/deblur_compress.py',
    '_base_/schedules/adam_cosine_2e-4.py',
]

model = dict(generator=dict(mid_channels=48, scale=1), train_cfg=dict(fix_iter=5000))
train_cfg = dict(max_iters=200_000)
# The best on either.
default_hooks = dict(checkpoint=dict(save_best=['MFQEv2/PSNR', 'GoPro/PSNR']))
