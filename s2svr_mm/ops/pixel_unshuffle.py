# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Frames as smaller ones of more channels, for restoration at less cost."""

import torch.nn.functional as F
from torch import Tensor

from .padding import pad_to


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """Rearrange squares of pixels into single pixels of more channels; no value is lost.

    :func:`shuffle` is the inverse. The border is repeated where a side is no multiple of the
    factor.

    Args:
        x (Tensor): Frames, (n, c, h, w).
        factor (int): Side of the squares, at least 1.

    Returns:
        Tensor: (n, c * factor ** 2, ceil(h / factor), ceil(w / factor)).
    """
    return x if factor == 1 else F.pixel_unshuffle(pad_to(x, factor), factor)


def shuffle(x: Tensor, factor: int) -> Tensor:
    """Rearrange channels into squares of pixels (Shi et al., CVPR 2016).

    Args:
        x (Tensor): (..., c * factor ** 2, h, w).
        factor (int): Side of the squares, at least 1, which copies nothing.

    Returns:
        Tensor: (..., c, factor * h, factor * w).
    """
    return x if factor == 1 else F.pixel_shuffle(x, factor)


def unshuffle_flow(flow: Tensor, factor: int) -> Tensor:
    """Compute the flow of unshuffled frames: the mean of each square, in squares.

    Args:
        flow (Tensor): Flow of the frames, (n, 2, h, w), in their pixels.
        factor (int): Side of the squares, at least 1.

    Returns:
        Tensor: (n, 2, ceil(h / factor), ceil(w / factor)).
    """
    return flow if factor == 1 else F.avg_pool2d(pad_to(flow, factor), factor) / factor
