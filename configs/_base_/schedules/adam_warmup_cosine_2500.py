# 2,500 iterations, lr 1e-3 with warm-up, gradient clipping: hours on a CPU.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.99)),
    clip_grad=dict(max_norm=0.1),
)
param_scheduler = [
    dict(type='LinearLR', by_epoch=False, start_factor=0.01, end=200),
    dict(type='CosineAnnealingLR', by_epoch=False, eta_min=1e-7),
]
auto_scale_lr = dict(base_batch_size=2)

train_cfg = dict(type='ResumableTrainLoop', max_iters=2500, val_interval=2500)
val_cfg = dict(type='WindowedValLoop')
test_cfg = dict(type='WindowedTestLoop')

# What is saved and tested is the average of about the last 1000 iterations.
custom_hooks = [dict(type='EMAHook', momentum=0.002)]
