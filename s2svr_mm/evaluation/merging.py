# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The figures of a clip from those of its windows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from ..errors import ConfigError


def merge_windows(metric: BaseMetric, results: Sequence[Any], frames: Sequence[int]) -> Any:
    """Join what a metric has measured in the windows of a clip into what it measures on the clip.

    Args:
        metric (BaseMetric): The metric; ``merge(results, frames)``, if it has one, does it.
        results (Sequence): What each window has added to the metric's ``results``: figures that are
            means over frames, by name.
        frames (Sequence[int]): Frames of each window that were measured.

    Returns:
        Any: The same for the clip.

    Raises:
        ConfigError: The metric does not measure sample by sample, or leaves something else.
    """
    if hasattr(metric, 'merge'):
        return metric.merge(results, frames)
    numbers = all(
        isinstance(result, Mapping) and all(np.ndim(value) == 0 for value in result.values())
        for result in results
    )
    if len(results) != len(frames) or not numbers:
        raise ConfigError(
            f'{type(metric).__name__} does not measure frame by frame, so clips cannot be '
            'restored in windows: set window=0 in val_cfg and test_cfg'
        )
    weights = np.asarray(frames) / sum(frames)
    return {
        name: float(sum(w * float(r[name]) for w, r in zip(weights, results, strict=True)))
        for name in results[0]
    }
