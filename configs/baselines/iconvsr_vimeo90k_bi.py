# mmagic's IconVSR on the same data and by the same rules as s2svr_vimeo90k_bi, with mmagic's
# schedule for it.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/iconvsr.py',
    '../_base_/datasets/vimeo90k_bi.py',
    '../_base_/schedules/mmagic_vsr.py',
]

model = dict(
    generator=dict(
        padding=3,
        edvr_pretrained='https://download.openmmlab.com/mmediting/restorers/'
        'iconvsr/edvrm_vimeo90k_20210413-e40e99a8.pth',
    )
)
