# The last stage of s2svr_s_deblur, with sharp and lightly blurred clips. Under the PSNR loss a
# decibel counts the same at every strength of blur, and 40 % of the clips get no added motion. The
# bundled weights have had it (s2svr_mm/weights/README.md says from which): this is one stage more.
_base_ = ['s2svr_s_deblur.py']

model = dict(pixel_loss=dict(_delete_=True, type='ClipPSNRLoss'))
train_pipeline = [
    dict(type='LoadClip'),
    # By up to 2 pixels a frame: of the 16 at each side, none is left.
    dict(type='FixedCrop', keys=['gt'], crop_size=(112, 112)),
    dict(type='AddMotion', max_motion=2.0, prob=0.6, min_motion=0.2),
    dict(
        type='AverageMotionBlur',
        num_frames=[1, 3, 5, 7, 7, 7],
        stride=[1, 1, 5],
        in_between=[0, 0, 7],
    ),
    *_base_.train_pipeline[-4:],
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(optimizer=dict(lr=4e-4))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.01, end=100),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-7, begin=100),
]
train_cfg = dict(max_iters=5500, val_interval=5500)
load_from = 's2svr://s2svr_s_deblur'
