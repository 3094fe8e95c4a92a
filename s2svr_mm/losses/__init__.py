# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Losses that train optical flow without labels."""

from .flow_distill import FlowDistillLoss
from .photometric import PhotometricLoss, census_distance
from .reduction import masked_mean
from .smoothness import EdgeAwareSmoothnessLoss

__all__ = [
    'EdgeAwareSmoothnessLoss',
    'FlowDistillLoss',
    'PhotometricLoss',
    'census_distance',
    'masked_mean',
]
