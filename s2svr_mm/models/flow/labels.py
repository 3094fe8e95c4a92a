# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Flow of clean frames as a label: better than one pass of the estimator that makes it."""

import torch
import torch.nn as nn
from torch import Tensor

from ...errors import ConfigError
from ...ops.lucas_kanade import refine_flow
from .estimators import pair_flows

LABELS = 'plain', 'flips', 'refine', 'flips+refine'
# Sides of the windows of the least-squares steps: first what a wide one agrees on, then details.
WINDOWS = 15, 9, 5


@torch.no_grad()
def label_flows(
    estimator: nn.Module, first: Tensor, second: Tensor, label: str = 'flips+refine'
) -> tuple[Tensor, Tensor]:
    """Computes the flows of pairs of frames in both directions as well as an estimator allows.

    Args:
        estimator (nn.Module): ``forward(ref, supp) -> flow``.
        first (Tensor): First frames, (n, 3, h, w), RGB in [0, 1].
        second (Tensor): Second frames, of the same shape.
        label (str): 'plain' for a single pass; 'flips' for the mean over the frames as they are,
            mirrored horizontally, vertically, and both; 'refine' for three steps of
            :func:`.refine_flow` after it; 'flips+refine' for both. Defaults to 'flips+refine'.

    Returns:
        tuple[Tensor, Tensor]: The flow that lives on ``first`` and the one that lives on
        ``second``, (n, 2, h, w), pixels, x first.

    Raises:
        ConfigError: If ``label`` is unknown.
    """
    check_label(label)
    flips: tuple[tuple[int, ...], ...] = ((),)
    if 'flips' in label:
        flips = (), (-1,), (-2,), (-2, -1)
    found = [
        [unflip(flow, dims) for flow in pair_flows(estimator, first.flip(dims), second.flip(dims))]
        for dims in flips
    ]
    on_first, on_second = (torch.stack(flows).mean(0) for flows in zip(*found, strict=True))
    if 'refine' in label:
        for window in WINDOWS:
            on_first = refine_flow(first, second, on_first, window)
            on_second = refine_flow(second, first, on_second, window)
    return on_first, on_second


def check_label(label: str) -> str:
    """Refuses a label that is not known.

    Args:
        label (str): As for :func:`label_flows`.

    Returns:
        str: The same.

    Raises:
        ConfigError: If it is another one.
    """
    if label not in LABELS:
        raise ConfigError(f'label must be one of {", ".join(LABELS)}, but got {label!r}.')
    return label


def unflip(flow: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Turns the flow of mirrored frames into that of the frames.

    Args:
        flow (Tensor): (n, 2, h, w), pixels, x first.
        dims (tuple[int, ...]): Mirrored dimensions: -1 for columns, -2 for rows.

    Returns:
        Tensor: (n, 2, h, w).
    """
    signs = flow.new_tensor([-1.0 if dim in dims else 1.0 for dim in (-1, -2)])
    return flow.flip(dims) * signs.view(2, 1, 1)
