# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from .end_point_error import (
    EndPointError,
    alignment_error,
    flow_errors,
    mean_errors,
    sample_errors,
)
from .merging import merge_windows
from .per_clip import PerClip
from .restoration_gain import RestorationGain

__all__ = [
    'EndPointError',
    'PerClip',
    'RestorationGain',
    'alignment_error',
    'flow_errors',
    'mean_errors',
    'merge_windows',
    'sample_errors',
]
