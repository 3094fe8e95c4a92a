# The last stage of s2svr_s_compress: H.264 and H.265 as people's files have them, beside x265 at a
# constant QP. It starts from s2svr://s2svr_s_compress.
_base_ = ['s2svr_s_compress.py']

codecs = [
    dict(codec='libx264', weight=3, crf=(18, 40), presets=['veryfast', 'medium', 'slow']),
    dict(codec='libx265', weight=2, crf=(20, 40), presets=['ultrafast', 'medium']),
    dict(codec='libx264', weight=1, bits=(0.03, 0.4), presets=['veryfast', 'medium']),
]
train_pipeline = [
    dict(type='LoadClip'),
    # By up to 3 pixels a frame: of the 15 at each side, none is left.
    dict(type='FixedCrop', keys=['gt'], crop_size=(142, 142)),
    dict(type='AddMotion', prob=0.5, min_motion=0.3),
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='CompressVideo', qp=[27, 32, 37, 37, 42])],
            [dict(type='RandomCompressVideo', codecs=codecs, lead_in=8)],
        ],
        prob=[0.4, 0.6],
    ),
    # Compressed alone, small patches would have more of what comes in over the border.
    dict(type='FixedCrop', keys=['img', 'gt'], crop_size=(80, 80)),
    *_base_.train_pipeline[-4:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=3e-4))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.01, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-7, begin=100),
]
train_cfg = dict(max_iters=1500, val_interval=1500)
load_from = 's2svr://s2svr_s_compress'
