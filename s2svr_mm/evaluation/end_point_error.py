# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Error of optical flow, and of the frames that it aligns."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from mmagic.evaluation.metrics.base_sample_wise_metric import BaseSampleWiseMetric
from mmagic.registry import METRICS

from ..errors import ConfigError, DataError, NonFiniteError
from ..ops.occlusion import inside_frame
from ..ops.warp import warp

DEFAULT_BINS = (0, 2, 5, 10)


@METRICS.register_module()
class EndPointError(BaseSampleWiseMetric):
    """Mean length of the difference between estimated and true flow, over valid pixels.

    Pairs are averaged as in the Middlebury benchmark: first over the pixels of a pair, then over
    the pairs. ``EPE`` is the mean, ``EPE_1px`` the share in percent of pixels with an error above
    one pixel, ``EPE_A_B`` the mean over pixels whose true motion is from A to below B pixels
    long (of the pairs that have any), ``EPE_visible`` and ``EPE_hidden`` the mean over pixels that
    are seen in the second frame too and over those that are not.

    ``alignment`` is what a restorer needs: how far the *clean* second frame is from the clean first
    one, once it is warped along the flow, which may come from degraded frames; ``alignment_true``
    is the same of the true flow. See :func:`alignment_error`.

    Args:
        bins (Sequence[float]): Limits of the bins of motion in pixels. Defaults to (0, 2, 5, 10).
        **kwargs: Further arguments of mmagic's ``BaseSampleWiseMetric``.

    Raises:
        ConfigError: If the bins are not in increasing order.
    """

    metric = 'EPE'

    def __init__(self, bins: Sequence[float] = DEFAULT_BINS, **kwargs: Any) -> None:
        if list(bins) != sorted(set(bins)) or not bins:
            raise ConfigError(f'bins must be in increasing order, but got {bins}.')
        super().__init__(gt_key='gt_flow', pred_key='pred_flow', **kwargs)
        self.bins = tuple(bins)

    def process(self, data_batch: Sequence[dict], data_samples: Sequence[dict]) -> None:
        """Measure a batch.

        Args:
            data_batch (Sequence[dict]): Not used.
            data_samples (Sequence[dict]): With ``output.pred_flow``, (2, h, w), and what
                :class:`LoadFlow` gives: ``gt_flow``, (2, h, w), ``gt_valid``, (1, h, w), and, if
                they are packed too, ``gt_visible``, (1, h, w), and ``gt_clean``, (6, h, w).
        """
        for sample in data_samples:
            self.results.append(sample_errors(sample['output']['pred_flow'], sample, self.bins))

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Average over the pairs.

        Args:
            results (list[dict[str, float]]): What :func:`flow_errors` returned for each.

        Returns:
            dict[str, float]: The means; NaN for a bin that no pair has a pixel in.
        """
        return mean_errors(results)


def sample_errors(
    estimated: Any, sample: Mapping[str, Any], bins: Sequence[float] = DEFAULT_BINS
) -> dict[str, float]:
    """Measure one flow against a data sample.

    Args:
        estimated (Tensor | np.ndarray): (2, h, w), pixels.
        sample (Mapping): As for :meth:`EndPointError.process`.
        bins (Sequence[float]): As for :func:`flow_errors`.

    Returns:
        dict[str, float]: The errors of :func:`flow_errors`, and if there are clean frames,
        ``alignment`` and ``alignment_true``.
    """
    visible, clean = sample.get('gt_visible'), sample.get('gt_clean')
    found, true, valid = (
        np.asarray(x, dtype=np.float64) for x in (estimated, sample['gt_flow'], sample['gt_valid'])
    )
    valid = valid[0] > 0
    visible = np.ones_like(valid) if visible is None else np.asarray(visible)[0] > 0
    errors = flow_errors(found, true, valid, bins, visible)
    if clean is not None:
        first, second = np.split(np.asarray(clean, dtype=np.float64), 2)
        counted = valid & visible & (inside_frame(torch.from_numpy(true)[None])[0, 0].numpy() > 0)
        for name, flow in (('alignment', found), ('alignment_true', true)):
            errors[name] = alignment_error(first, second, flow, counted)
    return errors


def alignment_error(
    first: np.ndarray, second: np.ndarray, flow: np.ndarray, counted: np.ndarray
) -> float:
    """Measure how well a flow aligns two frames.

    Args:
        first (np.ndarray): (3, h, w), the frame that the flow lives on.
        second (np.ndarray): (3, h, w), the frame that it samples, bilinearly.
        flow (np.ndarray): (2, h, w), pixels, x first.
        counted (np.ndarray): (h, w), bool.

    Returns:
        float: Mean absolute difference over the colours of the pixels that count, in the unit of
        the frames; NaN if none does.
    """
    if not counted.any():
        return float('nan')
    aligned = warp(torch.from_numpy(second)[None], torch.from_numpy(flow)[None], 'border')[0]
    return float(np.abs(aligned.numpy() - first)[:, counted].mean())


def mean_errors(results: Sequence[dict[str, float]]) -> dict[str, float]:
    """Average the errors of several flows.

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
    visible: np.ndarray | None = None,
) -> dict[str, float]:
    """Measure one flow.

    Args:
        estimated (np.ndarray): (2, h, w), pixels.
        true (np.ndarray): Of the same shape.
        valid (np.ndarray): (h, w), bool: where ``true`` is known.
        bins (Sequence[float]): Limits of the bins of motion; the last has no upper one.
        visible (np.ndarray, optional): (h, w), bool: what is seen in the other frame too. Defaults
            to None (everything).

    Returns:
        dict[str, float]: ``EPE``, ``EPE_1px`` in percent, ``EPE_A_B`` for each bin,
        ``EPE_visible`` and ``EPE_hidden``; NaN where there is no such pixel.

    Raises:
        ValueError: If the shapes differ.
        DataError: If no pixel is valid.
        NonFiniteError: If the estimate is NaN or infinite at a valid pixel.
    """
    if estimated.shape != true.shape or valid.shape != true.shape[1:]:
        raise ValueError(
            f'The estimated flow is {estimated.shape}, the true one {true.shape} with a mask of '
            f'{valid.shape}: they must be of one size.'
        )
    if not valid.any():
        raise DataError('The true flow is unknown at every pixel.')
    error = np.linalg.norm(estimated - true, axis=0)[valid]
    motion = np.linalg.norm(true, axis=0)[valid]
    if not np.isfinite(error).all():
        raise NonFiniteError(
            f'The estimated flow is NaN or infinite at {(~np.isfinite(error)).sum()} pixels.'
        )
    seen = np.ones_like(error, dtype=bool) if visible is None else visible[valid]
    parts = {
        **{
            f'EPE_{low:g}_{high:g}': (motion >= low) & (motion < high)
            for low, high in pairwise((*bins, np.inf))
        },
        'EPE_visible': seen,
        'EPE_hidden': ~seen,
    }
    measured = dict(EPE=error.mean(), EPE_1px=100 * (error > 1).mean())
    for name, part in parts.items():
        measured[name] = error[part].mean() if part.any() else np.nan
    return {name: float(value) for name, value in measured.items()}
