# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Means over some of the pixels."""

from torch import Tensor

from ..errors import ConfigError

REDUCTIONS = ('mean', 'none')


def masked_mean(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """Average a map over the pixels of a mask.

    Args:
        x (Tensor): (n, c, h, w).
        mask (Tensor, optional): (n, 1, h, w), from 0 to 1. Defaults to None (all pixels).

    Returns:
        Tensor: A scalar; 0 with zero gradients where the mask holds not a single pixel.
    """
    if mask is None:
        return x.mean()
    return (x * mask).sum() / (mask.sum() * x.shape[1]).clamp_min(1)


def check_reduction(reduction: str) -> str:
    """Refuse a reduction that is not known.

    Args:
        reduction (str): 'mean' or 'none'.

    Returns:
        str: The same.

    Raises:
        ConfigError: If it is another one.
    """
    if reduction not in REDUCTIONS:
        raise ConfigError(f'reduction must be in {REDUCTIONS}, but got {reduction!r}.')
    return reduction
