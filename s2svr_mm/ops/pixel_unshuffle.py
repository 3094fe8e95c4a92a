# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Frames as smaller ones of more channels, to restore at less cost what keeps its size."""

import torch.nn.functional as F
from torch import Tensor


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """Makes frames smaller without losing a value: of a square of pixels, one of more channels.

    ``F.pixel_shuffle`` is the way back (Shi et al., CVPR 2016). The border is repeated where a
    side is no multiple of the factor.

    Args:
        x (Tensor): Frames, (n, c, h, w).
        factor (int): Side of the squares, at least 1.

    Returns:
        Tensor: (n, c * factor ** 2, ceil(h / factor), ceil(w / factor)).
    """
    return F.pixel_unshuffle(_padded(x, factor), factor)


def unshuffle_flow(flow: Tensor, factor: int) -> Tensor:
    """Makes the flow of unshuffled frames: the mean of each square, in squares.

    Args:
        flow (Tensor): Flow of the frames, (n, 2, h, w), in their pixels.
        factor (int): Side of the squares, at least 1.

    Returns:
        Tensor: (n, 2, ceil(h / factor), ceil(w / factor)).
    """
    return F.avg_pool2d(_padded(flow, factor), factor) / factor


def _padded(x: Tensor, factor: int) -> Tensor:
    h, w = x.shape[-2:]
    return F.pad(x, (0, -w % factor, 0, -h % factor), mode='replicate')
