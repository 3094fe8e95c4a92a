# To compare with: the same network, start, pairs and steps, but the photometric loss on the
# degraded frames alone, without any label.
_base_ = ['flow_student_sr.py']

model = dict(
    flow_head=None,
    warp_loss=None,
    photometric_loss=dict(
        type='PhotometricLoss', l1_weight=0.0, ssim_weight=0.0, census_weight=1.0
    ),
    smoothness_loss=dict(type='EdgeAwareSmoothnessLoss'),
)
