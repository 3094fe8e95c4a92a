# What every config shares: registries, hooks, log and environment.
default_scope = 'mmagic'
custom_imports = dict(imports=['s2svr_mm'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # Every checkpoint, the best one too, is written completely or not at all.
    checkpoint=dict(
        type='SafeCheckpointHook',
        interval=5000,
        max_keep_ckpts=5,
        save_best='PSNR',
        rule='greater',
    ),
    # A checkpoint fits the model, or is refused.
    strict_load=dict(type='StrictLoadHook'),
    # Resuming follows the schedule below.
    resume_schedule=dict(type='ResumeScheduleHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    non_finite=dict(type='StopAtNonFiniteHook'),
)
log_processor = dict(type='LogProcessor', window_size=100, by_epoch=False)
log_level = 'INFO'

# Losses and metrics go to vis_data/*.json; tools/test.py --save writes frames.
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])

env_cfg = dict(
    cudnn_benchmark=False,
    # Workers decode and crop with one thread each.
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=1),
    dist_cfg=dict(backend='nccl'),  # the tools take gloo where there is no GPU
)
randomness = dict(seed=0)

load_from = None
resume = False
