# Adam with the betas of ARFlow. The rate rises first: all levels share one decoder, so that a first
# step at the full rate moves the flow by tens of pixels, which costs more steps than the rise. Then
# one cosine to 1e-7.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.999)))
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=1e-3, end=1000),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-7),
]
auto_scale_lr = dict(base_batch_size=4)

train_cfg = dict(type='ResumableTrainLoop', max_iters=120_000, val_interval=2500)
val_cfg = dict(type='MultiValLoop')
test_cfg = dict(type='MultiTestLoop')
