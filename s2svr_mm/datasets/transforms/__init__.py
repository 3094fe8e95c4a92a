# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from .camera_motion import AddMotion
from .compression import CompressVideo, RandomCompressVideo
from .degradation import BicubicDownsample, ClipDegradation, GaussianDownsample
from .flow import KnownMotion, LoadFlow, PairMotionBlur
from .flow_labels import FlipFlowLabels, LoadFlowLabels
from .loading import LoadClip, LoadYUVFrames
from .motion_blur import AverageMotionBlur

__all__ = [
    'AddMotion',
    'AverageMotionBlur',
    'BicubicDownsample',
    'ClipDegradation',
    'CompressVideo',
    'FlipFlowLabels',
    'GaussianDownsample',
    'KnownMotion',
    'LoadClip',
    'LoadFlow',
    'LoadFlowLabels',
    'LoadYUVFrames',
    'PairMotionBlur',
    'RandomCompressVideo',
]
