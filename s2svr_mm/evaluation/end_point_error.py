# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Error of optical flow."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from mmagic.evaluation.metrics.base_sample_wise_metric import BaseSampleWiseMetric
from mmagic.registry import METRICS

DEFAULT_BINS = (0, 2, 5, 10)


@METRICS.register_module()
class EndPointError(BaseSampleWiseMetric):
    """Mean length of the difference between estimated and true flow, over valid pixels.

    Pairs are averaged as in the Middlebury benchmark: first over the pixels of a pair, then over
    the pairs. ``EPE`` is the mean, ``EPE_1px`` the share in percent of pixels with an error above
    one pixel, and ``EPE_A_B`` the mean over pixels whose true motion is from A to below B pixels
    long (of the pairs that have any).

    Args:
        bins (Sequence[float]): Limits of the bins of motion in pixels. Default: (0, 2, 5, 10).
        **kwargs: Further arguments of mmagic's ``BaseSampleWiseMetric``.

    Raises:
        ValueError: If the bins do not rise.
    """

    metric = 'EPE'

    def __init__(self, bins: Sequence[float] = DEFAULT_BINS, **kwargs) -> None:
        if list(bins) != sorted(set(bins)) or not bins:
            raise ValueError(f'bins must rise, but got {bins}.')
        super().__init__(gt_key='gt_flow', pred_key='pred_flow', **kwargs)
        self.bins = tuple(bins)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Measures a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): With ``gt_flow``, (2, h, w), ``gt_valid``, (1, h, w),
                and ``output.pred_flow``, (2, h, w).
        """
        for sample in data_samples:
            estimated, true, valid = (
                np.asarray(x, dtype=np.float64)
                for x in (sample['output']['pred_flow'], sample['gt_flow'], sample['gt_valid'])
            )
            self.results.append(flow_errors(estimated, true, valid[0] > 0, self.bins))

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Averages over the pairs.

        Args:
            results (list[dict[str, float]]): What :func:`flow_errors` returned for each.

        Returns:
            dict[str, float]: The means; NaN for a bin that no pair has a pixel in.
        """
        return mean_errors(results)


def mean_errors(results: Sequence[dict[str, float]]) -> dict[str, float]:
    """Averages the errors of several flows.

    Args:
        results (Sequence[dict[str, float]]): What :func:`flow_errors` returned for each.

    Returns:
        dict[str, float]: The means of what is not NaN; NaN if all of it is.
    """
    means = {}
    for name in results[0]:
        known = [result[name] for result in results if not np.isnan(result[name])]
        means[name] = float(np.mean(known)) if known else float('nan')
    return means


def flow_errors(
    estimated: np.ndarray,
    true: np.ndarray,
    valid: np.ndarray,
    bins: Sequence[float] = DEFAULT_BINS,
) -> dict[str, float]:
    """Measures one flow.

    Args:
        estimated (np.ndarray): (2, h, w), pixels.
        true (np.ndarray): Of the same shape.
        valid (np.ndarray): (h, w), bool: where ``true`` is known.
        bins (Sequence[float]): Limits of the bins of motion; the last has no upper one.

    Returns:
        dict[str, float]: ``EPE``, ``EPE_1px`` in percent, and ``EPE_A_B`` for each bin, NaN where
        it has no pixel.

    Raises:
        ValueError: If the shapes differ, or no pixel is valid.
    """
    if estimated.shape != true.shape or valid.shape != true.shape[1:]:
        raise ValueError(
            f'The estimated flow is {estimated.shape}, the true one {true.shape} with a mask of '
            f'{valid.shape}: they must be of one size.'
        )
    if not valid.any():
        raise ValueError('The true flow is unknown at every pixel.')
    error = np.linalg.norm(estimated - true, axis=0)[valid]
    motion = np.linalg.norm(true, axis=0)[valid]
    measured = dict(EPE=error.mean(), EPE_1px=100 * (error > 1).mean())
    for low, high in pairwise((*bins, np.inf)):
        inside = error[(motion >= low) & (motion < high)]
        measured[f'EPE_{low:g}_{high:g}'] = inside.mean() if inside.size else np.nan
    return {name: float(value) for name, value in measured.items()}
