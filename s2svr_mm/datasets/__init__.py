# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from .frames import DataError
from .transforms import LoadClip
from .video_clip_dataset import VideoClipDataset

__all__ = ['DataError', 'LoadClip', 'VideoClipDataset']
