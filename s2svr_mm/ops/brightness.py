# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restored frames whose local mean colours are those of the input."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .lucas_kanade import window_mean


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
    offsets = window_mean(colours, window)
    if scale > 1:
        offsets = F.interpolate(offsets, restored.shape[-2:], mode='bilinear', align_corners=False)
    return (restored.unflatten(1, (3, -1)) - offsets[:, :, None]).flatten(1, 2)
