# IconVSR as mmagic has it, 8.7 M parameters. SPyNet's and EDVR's weights come from the network:
# offline, give local files with --cfg-options model.generator.spynet_pretrained=FILE
# model.generator.edvr_pretrained=FILE (or None for none).
_base_ = ['basicvsr.py']

model = dict(
    generator=dict(
        type='IconVSRNet',
        keyframe_stride=5,
        padding=2,
        edvr_pretrained='https://download.openmmlab.com/mmediting/restorers/'
        'iconvsr/edvrm_reds_20210413-3867262f.pth',
    )
)
