# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from .references import DataError
from .transforms import (
    AverageMotionBlur,
    BicubicDownsample,
    CompressVideo,
    GaussianDownsample,
    LoadClip,
    LoadYUVFrames,
)
from .video_clip_dataset import VideoClipDataset

__all__ = [
    'AverageMotionBlur',
    'BicubicDownsample',
    'CompressVideo',
    'DataError',
    'GaussianDownsample',
    'LoadClip',
    'LoadYUVFrames',
    'VideoClipDataset',
]
