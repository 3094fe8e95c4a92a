# A student that starts as a copy of its teacher, by default the one that comes with the package.
# Others, as a checkpoint of configs/flow_teacher.py, by --cfg-options
# model.estimator.init_cfg.checkpoint=FILE model.estimator.init_cfg.prefix=estimator and the same
# for model.flow_head.teacher.
trained = dict(
    type='FinePWCLite',
    coarse=dict(type='PWCLite', normalize_features=True, context_levels=4),
    init_cfg=dict(type='Pretrained', checkpoint='s2svr://flow_teacher'),
)
model = dict(
    type='UnsupervisedFlow',
    # The last flow, the decoders' at 1/1 and 1/2, then the coarse levels'.
    scale_weights=(1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    estimator=trained,
    flow_head=dict(
        type='FlowDistillHead',
        teacher=trained,
        distill_loss=dict(type='FlowDistillLoss', loss_weight=1.0),
        photometric_loss=dict(
            type='PhotometricLoss',
            l1_weight=0.0,
            ssim_weight=0.0,
            census_weight=1.0,
            loss_weight=0.2,
        ),
        smoothness_loss=dict(type='EdgeAwareSmoothnessLoss', loss_weight=0.1),
    ),
    data_preprocessor=dict(
        type='DataPreprocessor', mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0]
    ),
)
