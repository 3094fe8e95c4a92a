# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from ..errors import DataError
from ..io.flow_files import flow_to_rgb, read_flow
from .flow_pairs import FlowPairDataset
from .transforms import (
    AddMotion,
    AverageMotionBlur,
    BicubicDownsample,
    CompressVideo,
    GaussianDownsample,
    KnownMotion,
    LoadClip,
    LoadFlow,
    LoadYUVFrames,
    PairMotionBlur,
    RandomCompressVideo,
)
from .video_clip_dataset import VideoClipDataset

__all__ = [
    'AddMotion',
    'AverageMotionBlur',
    'BicubicDownsample',
    'CompressVideo',
    'DataError',
    'FlowPairDataset',
    'GaussianDownsample',
    'KnownMotion',
    'LoadClip',
    'LoadFlow',
    'LoadYUVFrames',
    'PairMotionBlur',
    'RandomCompressVideo',
    'VideoClipDataset',
    'flow_to_rgb',
    'read_flow',
]
