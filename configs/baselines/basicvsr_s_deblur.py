# A BasicVSR of like size, on the same data and by the same rules as s2svr_s_deblur.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/basicvsr_s_same_size.py',
    '../_base_/datasets/clips_blurred_drift.py',
    '../_base_/schedules/adam_warmup_cosine_2500.py',
]

default_hooks = dict(checkpoint=dict(interval=250))
