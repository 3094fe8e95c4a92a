# The teacher, for clean frames: PWC-Lite with levels at 1/2 and 1/1 of the frames. The same two
# stages: synthetic flow, brightness nearly constant as in a video; then the photometric loss
# (census). Its coarse levels start as those of s2svr://flow_teacher, without the context network at
# 1/4. Those that flow_pwclite.py trains from random weights do as well: --cfg-options
# model.estimator.coarse.init_cfg.checkpoint=FILE model.estimator.coarse.init_cfg.prefix=estimator.
_base_ = ['flow_pwclite.py']

model = dict(
    estimator=dict(
        _delete_=True,
        type='FinePWCLite',
        coarse=dict(
            type='PWCLite',
            normalize_features=True,
            context_levels=4,
            init_cfg=dict(type='Pretrained', checkpoint='s2svr://flow_teacher', prefix='coarse'),
        ),
    ),
    known_warps=dict(min_motion=16.0, max_motion=16.0, grow_iters=0, variation=0.3),
    # The last flow, the decoders' at 1/1 and 1/2, then the coarse levels'.
    scale_weights=(1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    train_cfg=dict(warp_iters=40_000, occlusion_begin=0),
)

optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(coarse=dict(lr_mult=0.25))))
train_cfg = dict(max_iters=60_000)

# What is saved and tested is the average of about the last 1000 iterations.
custom_hooks = [dict(type='EMAHook', momentum=0.002)]
