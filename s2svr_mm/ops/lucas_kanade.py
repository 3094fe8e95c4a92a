# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Sub-pixel refinement of optical flow by least squares (Lucas and Kanade)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .warp import warp


def refine_flow(
    ref: Tensor, supp: Tensor, flow: Tensor, window: int = 15, damping: float = 3e-3
) -> Tensor:
    """Bring a flow closer to where the frames agree, by one step of Lucas and Kanade's method.

    Paper: An Iterative Image Registration Technique with an Application to Stereo Vision, IJCAI
    1981. Estimators that find flow at a quarter of the size of the frames leave errors of about a
    quarter of a pixel, which blurs the detail of what is aligned by it. Here each pixel's flow
    changes by what makes the frames, along it, differ least within a window around it.

    Args:
        ref (Tensor): Frames where the flow lives, (n, 3, h, w), RGB in [0, 1].
        supp (Tensor): Frames that it samples, the same shape.
        flow (Tensor): (n, 2, h, w), pixels, x first.
        window (int): Side of the window in pixels, odd. Defaults to 15.
        damping (float): Added to the squared gradient, mean of the window and sum of the colours:
            where there is less, the flow hardly changes. Defaults to 3e-3.

    Returns:
        Tensor: (n, 2, h, w), at least float32; neither part of a vector has changed by more than a
        pixel.
    """
    # Of a window's products in half precision nothing would be left.
    dtype = torch.promote_types(flow.dtype, torch.float32)
    ref, supp, flow = (x.to(dtype) for x in (ref, supp, flow))
    aligned = warp(supp, flow, padding_mode='border')
    (gx, gy), (aligned_gx, aligned_gy) = _gradient(ref), _gradient(aligned)
    gx, gy = (gx + aligned_gx) / 2, (gy + aligned_gy) / 2
    difference = ref - aligned
    pairs = (gx, gx), (gy, gy), (gx, gy), (gx, difference), (gy, difference)
    products = torch.stack([(a * b).sum(1) for a, b in pairs], dim=1)
    xx, yy, xy, xd, yd = window_mean(products, window).unbind(1)
    xx, yy = xx + damping, yy + damping
    change = torch.stack((yy * xd - xy * yd, xx * yd - xy * xd), dim=1)
    return flow + (change / (xx * yy - xy * xy)[:, None]).clamp(-1, 1)


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences, along x and along y."""
    x = F.pad(x, (1, 1, 1, 1), mode='replicate')
    rows, columns = x[:, :, 1:-1], x[..., 1:-1]
    return (rows[..., 2:] - rows[..., :-2]) / 2, (columns[:, :, 2:] - columns[:, :, :-2]) / 2


def window_mean(x: Tensor, window: int) -> Tensor:
    """Mean over a square around each pixel, of what of it lies inside.

    Sums of 1, 2, 4, ... neighbours are added up, so that the cost grows with the logarithm of the
    window: a sixth of the time of ``F.avg_pool2d`` twice, on a CPU and for a window of 9.

    Args:
        x (Tensor): (n, c, h, w).
        window (int): Side of the square in pixels, odd.

    Returns:
        Tensor: (n, c, h, w).
    """
    for dim in (-2, -1):
        ones = x.new_ones([x.shape[dim] if d == dim else 1 for d in (-4, -3, -2, -1)])
        x = _window_sum(x, window, dim) / _window_sum(ones, window, dim)
    return x


def _window_sum(x: Tensor, window: int, dim: int) -> Tensor:
    """Sum of the ``window`` neighbours around each element along a dimension, 0 outside."""
    length, radius = x.shape[dim], window // 2
    padding = (0, 0, radius, radius) if dim == -2 else (radius, radius, 0, 0)
    # Sums of `count` elements in a row; those that the bits of the odd `window` ask for make up the
    # whole, the lowest first.
    partial, count, start = F.pad(x, padding), 1, 1
    total = partial.narrow(dim, 0, length)
    while 2 * count <= window:
        kept = partial.shape[dim] - count
        partial = partial.narrow(dim, 0, kept) + partial.narrow(dim, count, kept)
        count *= 2
        if window & count:
            total = total + partial.narrow(dim, start, length)
            start += count
    return total
