# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restored frames that are, on average, as bright as what they were restored from."""

import torch
import torch.nn.functional as F
from torch import Tensor


def keep_brightness(restored: Tensor, frames: Tensor, window: int) -> Tensor:
    """Take from restored frames what makes them brighter or darker than the input over a window.

    The mean of each colour over the window around a pixel of the input becomes that of the input,
    apart from what changes within a window; where the change is the same everywhere, it is exact.

    Args:
        restored (Tensor): (n, c, scale * h, scale * w).
        frames (Tensor): The input, (n, c, h, w). It and ``restored`` may have squares of pixels as
            channels (:func:`.unshuffle`); c is a multiple of 3.
        window (int): Side of the windows in pixels of ``frames``, odd. At the borders what lies
            inside counts.

    Returns:
        Tensor: Of the shape of ``restored``.
    """
    scale = restored.shape[-1] // frames.shape[-1]
    small = F.avg_pool2d(restored, scale) if scale > 1 else restored
    # The pixels of a square share a correction. (A graph that is exported loses its sizes by
    # unflatten, and then has no window_means of other sizes.)
    colours = torch.stack([x.mean(1) for x in (small - frames).chunk(3, 1)], dim=1)
    excess = window_means(colours, window)
    if scale > 1:
        excess = F.interpolate(excess, restored.shape[-2:], mode='bilinear', align_corners=False)
    return (restored.unflatten(1, (3, -1)) - excess[:, :, None]).flatten(1, 2)


def window_means(x: Tensor, window: int) -> Tensor:
    """Average over the square window around each pixel, as far as it lies inside.

    Products with two band matrices take a fraction of the time of ``F.avg_pool2d`` with such
    kernels on a CPU, and are reproducible on a GPU, which cumulative sums are not.

    Args:
        x (Tensor): (n, c, h, w).
        window (int): Side of the windows in pixels, odd.

    Returns:
        Tensor: Of the shape of ``x``.
    """
    rows, columns = (_band(side, window, x) for side in x.shape[-2:])
    return rows @ x @ columns.T


def _band(side: int, window: int, like: Tensor) -> Tensor:
    """Weights (side, side), each row of which averages over a window."""
    places = torch.arange(side, device=like.device)
    inside = ((places[:, None] - places).abs() <= window // 2).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)
