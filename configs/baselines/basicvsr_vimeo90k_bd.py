# mmagic's BasicVSR on the same data and by the same rules as s2svr_vimeo90k_bd, with mmagic's
# schedule for it.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/basicvsr.py',
    '../_base_/datasets/vimeo90k_bd.py',
    '../_base_/schedules/mmagic_vsr.py',
]
