# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Flow averaged over what looks alike."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .warp import warp


def filter_flow(
    ref: Tensor,
    supp: Tensor,
    flow: Tensor,
    dilations: Sequence[int] = (4, 2, 1),
    color_sigma: float = 0.1,
    match_sigma: float = 0.03,
) -> Tensor:
    """Average a flow over neighbours of like colour whose own flow matches the frames.

    A joint bilateral filter: noise goes, edges of motion stay where colour has an edge, and a pixel
    whose flow fits badly, as a hidden one, takes over that of others. A wide window is made of
    3x3 taps at falling distances (the edge-avoiding a-trous filter of Dammertz et al., High
    Performance Graphics 2010).

    Args:
        ref (Tensor): Reference frames, (n, c, h, w), in [0, 1].
        supp (Tensor): Supporting frames, of the same shape.
        flow (Tensor): (n, 2, h, w), pixels, x first.
        dilations (Sequence[int]): Distance of the taps in pixels, of one pass each. Defaults to
            (4, 2, 1).
        color_sigma (float): Distance of colours at which a neighbour counts exp(-1/2). Defaults to
            0.1.
        match_sigma (float): Mean difference to the warped supporting frame at which a pixel
            counts exp(-1). Defaults to 0.03.

    Returns:
        Tensor: (n, 2, h, w), at least float32. Gradients reach ``flow`` through the averages, not
        through their weights.
    """
    dtype = torch.promote_types(flow.dtype, torch.float32)
    ref, supp, flow = (x.to(dtype) for x in (ref, supp, flow))
    with torch.no_grad():
        difference = (ref - warp(supp, flow, 'border')).abs_().mean(1, keepdim=True)
        # Not so small that none of nine counts.
        match = difference.div_(-match_sigma).exp_().clamp_min_(1e-4)
        # Of which the squared distance of two pixels is the exponent of their likeness.
        colors = ref / (2**0.5 * color_sigma)
    for dilation in dilations:
        total, weighted = torch.zeros_like(match), torch.zeros_like(flow)
        maps = (_taps(x, dilation) for x in (colors, match, flow))
        for color, fit, tap in zip(*maps, strict=True):
            with torch.no_grad():
                weight = (color - colors).square_().sum(1, keepdim=True).neg_().exp_().mul_(fit)
            total = total + weight
            weighted = weighted + weight * tap
        flow = weighted / total
    return flow


def _taps(x: Tensor, dilation: int) -> list[Tensor]:
    """Return a map nine times, shifted by -1, 0 or 1 times ``dilation`` along both axes."""
    h, w = x.shape[-2:]
    padded = F.pad(x, (dilation,) * 4, mode='replicate')
    return [
        padded[..., top : top + h, left : left + w]
        for top in (0, dilation, 2 * dilation)
        for left in (0, dilation, 2 * dilation)
    ]
