# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restored frames whose local mean colours are those of the input."""

import torch
import torch.nn.functional as F
from torch import Tensor


def keep_brightness(restored: Tensor, frames: Tensor, scale: int, window: int | None) -> Tensor:
    """Subtract the local mean of what was added to the input, for each colour.

    A constant offset vanishes, detail finer than the window stays.

    Args:
        restored (Tensor): Restored frames, (n, c, scale * h, scale * w).
        frames (Tensor): The input, (n, c, h, w). It and ``restored`` may have squares of pixels as
            channels (:func:`.unshuffle`); c is a multiple of 3.
        scale (int): Size of restored frames over that of the input.
        window (int, optional): Side of the window around a pixel over which to average, in pixels
            of ``frames``, odd; at the borders, over what lies inside. None returns ``restored``.

    Returns:
        Tensor: Of the shape of ``restored``.
    """
    if window is None:
        return restored
    added = (F.avg_pool2d(restored, scale) if scale > 1 else restored) - frames
    # The pixels of a square share a mean. (By unflatten, exported graphs would fix their sizes.)
    colours = torch.stack([x.mean(1) for x in added.chunk(3, 1)], dim=1)
    offsets = window_means(colours, window)
    if scale > 1:
        offsets = F.interpolate(offsets, restored.shape[-2:], mode='bilinear', align_corners=False)
    return (restored.unflatten(1, (3, -1)) - offsets[:, :, None]).flatten(1, 2)


def window_means(x: Tensor, window: int) -> Tensor:
    """Average over the square window around each pixel, as far as it lies inside.

    For frames of up to 1280 pixels a side, products with two band matrices take half to a tenth of
    the time of ``F.avg_pool2d`` with such kernels on a CPU.

    Args:
        x (Tensor): (n, c, h, w).
        window (int): Side of the window in pixels, odd.

    Returns:
        Tensor: Of the shape of ``x``.
    """
    rows, columns = (_band(side, window, x) for side in x.shape[-2:])
    return rows @ x @ columns.T


def _band(side: int, window: int, like: Tensor) -> Tensor:
    """Weights (side, side), each row of which averages over a window."""
    places = torch.arange(side, dtype=torch.float32, device=like.device)
    inside = ((places[:, None] - places).abs() <= window // 2).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)
