# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from .end_point_error import (
    EndPointError,
    alignment_error,
    flow_errors,
    mean_errors,
    sample_errors,
)
from .per_clip import PerClip
from .pieces import merge_pieces
from .restoration_gain import RestorationGain

__all__ = [
    'EndPointError',
    'PerClip',
    'RestorationGain',
    'alignment_error',
    'flow_errors',
    'mean_errors',
    'merge_pieces',
    'sample_errors',
]
