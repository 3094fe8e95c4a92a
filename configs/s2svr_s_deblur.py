# A small S2SVR for deblurring, for hours on a CPU. It works on squares of two by two pixels, at a
# quarter of the cost, and has the branch of s2svr_s_compress. It learns from sharp clips alone,
# data/clips/train/gt (docs/train.md), blurred over the time of up to six frames or not
# at all, as what has seen strong blur alone ruins what is sharp.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/s2svr_s_same_size.py',
    '_base_/datasets/clips_blurred_drift.py',
    '_base_/schedules/adam_warmup_cosine_2500.py',
]

# Averaged in linear light, what moves becomes brighter: brightness has to change.
model = dict(generator=dict(brightness_window=None, detail_branch=dict(in_place=5)))
default_hooks = dict(checkpoint=dict(interval=250))
