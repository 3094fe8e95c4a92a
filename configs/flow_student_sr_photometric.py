# To compare with: the same start, data and budget, but the photometric loss on the degraded frames
# alone.
_base_ = ['flow_student_sr.py']

model = dict(
    flow_head=None,
    photometric_loss=dict(
        type='PhotometricLoss', l1_weight=0.0, ssim_weight=0.0, census_weight=1.0
    ),
    smoothness_loss=dict(type='EdgeAwareSmoothnessLoss'),
)
