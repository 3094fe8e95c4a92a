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
        difference = (ref - warp(supp, flow, 'border')).abs().mean(1, keepdim=True)
        # Not so small that none of nine counts.
        match = torch.exp(-difference / match_sigma).clamp_min(1e-4)
    for dilation in dilations:
        weights = _weights(ref, match, dilation, color_sigma)
        taps = _taps(flow, dilation)
        total, weighted = torch.zeros_like(match), torch.zeros_like(flow)
        for weight, tap in zip(weights, taps, strict=True):
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


@torch.no_grad()
def _weights(ref: Tensor, match: Tensor, dilation: int, color_sigma: float) -> list[Tensor]:
    likeness = (
        torch.exp((tap - ref).square().sum(1, keepdim=True) / (-2 * color_sigma**2))
        for tap in _taps(ref, dilation)
    )
    return [a * b for a, b in zip(likeness, _taps(match, dilation), strict=True)]
