# Adam with the betas of ARFlow and one cosine from the learning rate to 1e-7.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.999)))
param_scheduler = dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-7)
auto_scale_lr = dict(base_batch_size=4)

train_cfg = dict(type='ResumableTrainLoop', max_iters=120_000, val_interval=2500)
val_cfg = dict(type='MultiValLoop')
test_cfg = dict(type='MultiTestLoop')

# The last weights count: the pairs with true flow are for the figures, not for a choice.
default_hooks = dict(checkpoint=dict(interval=2500, save_best=None))
