# Adam and one cosine from the learning rate to 1e-7 over all iterations, whatever their number.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-7)
auto_scale_lr = dict(base_batch_size=8)

train_cfg = dict(type='ResumableTrainLoop', max_iters=600_000, val_interval=5000)
val_cfg = dict(type='WindowedValLoop')
test_cfg = dict(type='WindowedTestLoop')
