# mmagic's IconVSR on the same data and by the same rules as s2svr_reds, with mmagic's schedule for
# it.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/iconvsr.py',
    '../_base_/datasets/reds.py',
    '../_base_/schedules/mmagic_vsr.py',
]
