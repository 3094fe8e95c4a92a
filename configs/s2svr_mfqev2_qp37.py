# S2SVR for the enhancement of video compressed at QP 37 on MFQEv2. The release has no config for
# it: these are the settings for GoPro.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr.py',
    '_base_/datasets/mfqev2.py',
    '_base_/schedules/adam_cosine_2e-4.py',
]

model = dict(generator=dict(mid_channels=48, scale=1), train_cfg=dict(fix_iter=5000))
train_cfg = dict(max_iters=200_000)
# The published figures are those of whole sequences, of up to 600 frames; validation takes windows.
test_cfg = dict(window=0)
