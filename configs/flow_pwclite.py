# PWC-Lite from random weights on clean clips, without labels. First warps that are known, small
# motion before large; then the photometric loss (census), hidden pixels left out once the flow is
# fair. What comes of it may start flow_teacher.py.
_base_ = [
    '_base_/default_runtime.py',
    '_base_/models/unsupervised_flow.py',
    '_base_/datasets/flow_clips.py',
    '_base_/schedules/flow.py',
]

model = dict(
    known_warps=dict(type='KnownWarps', min_motion=8.0, max_motion=24.0, grow_iters=4000),
    # The robust distance of the later stages hardly pulls where the error is large.
    warp_loss=dict(type='FlowDistillLoss', q=1.0),
    photometric_loss=dict(
        type='PhotometricLoss', l1_weight=0.0, ssim_weight=0.0, census_weight=1.0
    ),
    smoothness_loss=dict(type='EdgeAwareSmoothnessLoss'),
    train_cfg=dict(warp_iters=80_000, occlusion_begin=85_000),
)

# The last weights count: the pairs with true flow give figures, they choose nothing.
default_hooks = dict(checkpoint=dict(interval=2500, save_best=None))
