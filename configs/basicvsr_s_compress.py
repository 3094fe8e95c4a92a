# A BasicVSR of like size, on the same data and by the same rules as s2svr_s_compress. SPyNet's
# weights as in _base_/models/basicvsr.py.
_base_ = ['s2svr_s_compress.py']

model = dict(
    _delete_=True,
    type='BasicVSR',
    generator=dict(
        type='BasicVSRSameSizeNet',
        mid_channels=40,
        num_blocks=22,
        unshuffle=2,
        spynet_pretrained='https://download.openmmlab.com/mmediting/restorers/'
        'basicvsr/spynet_20210409-c6c1bd09.pth',
    ),
    pixel_loss=dict(type='CharbonnierLoss', loss_weight=1.0, reduction='mean'),
    train_cfg=dict(fix_iter=10_000_000),
    data_preprocessor=dict(
        type='DataPreprocessor', mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]
    ),
)
