# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Losses for optical flow without labels, and a PSNR loss for restoration."""

from .clip_psnr import ClipPSNRLoss
from .flow_distill import FlowDistillLoss
from .photometric import PhotometricLoss, census_distance
from .reduction import masked_mean
from .smoothness import EdgeAwareSmoothnessLoss

__all__ = [
    'ClipPSNRLoss',
    'EdgeAwareSmoothnessLoss',
    'FlowDistillLoss',
    'PhotometricLoss',
    'census_distance',
    'masked_mean',
]
