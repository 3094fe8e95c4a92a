# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Optical flow: PWC-Lite, other estimators with its interface, and training without labels."""

from ...ops.cost_volume import cost_volume
from ...ops.occlusion import inside_frame, visible_mask
from ...ops.resize_flow import rescale_flow, resize_flow
from .adaptors import DISFlow, MMFlowEstimator, SPyNet, ZeroFlow
from .distillation import FlowDistillHead
from .estimators import neighbour_flows
from .fine_pwclite import FinePWCLite
from .known_warps import KnownWarps
from .labels import FlowLabeler
from .pwclite import PWCLite
from .unsupervised import UnsupervisedFlow

__all__ = [
    'DISFlow',
    'FinePWCLite',
    'FlowDistillHead',
    'FlowLabeler',
    'KnownWarps',
    'MMFlowEstimator',
    'PWCLite',
    'SPyNet',
    'UnsupervisedFlow',
    'ZeroFlow',
    'cost_volume',
    'inside_frame',
    'neighbour_flows',
    'rescale_flow',
    'resize_flow',
    'visible_mask',
]
