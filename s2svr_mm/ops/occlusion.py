# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Which pixels of a frame can be seen in the other one."""

import torch
from torch import Tensor

from .warp import warp


@torch.no_grad()
def inside_frame(flow: Tensor) -> Tensor:
    """Find the pixels whose flow ends inside the frame.

    Args:
        flow (Tensor): (n, 2, h, w), pixels, x first.

    Returns:
        Tensor: (n, 1, h, w), float32, 1 inside and 0 outside.
    """
    h, w = flow.shape[-2:]
    x = flow[:, 0] + torch.arange(w, device=flow.device)
    y = flow[:, 1] + torch.arange(h, device=flow.device)[:, None]
    inside = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
    return inside[:, None].float()


@torch.no_grad()
def visible_mask(
    flow: Tensor, flow_back: Tensor, relative: float = 0.01, absolute: float = 0.5
) -> Tensor:
    """Find the pixels that are visible in the other frame, by forward-backward consistency.

    A visible pixel p comes back along the other flow: with b = flow_back at p + flow(p),
    ``|flow + b|^2 <= relative (|flow|^2 + |b|^2) + absolute`` (Sundaram, Brox and Keutzer, ECCV
    2010, equation 5; constants of UnFlow, AAAI 2018). A pixel that leaves the frame is not visible.
    (mmflow's ``forward_backward_consistency`` adds 2 * flow where the square is meant.)

    Args:
        flow (Tensor): (n, 2, h, w), pixels, x first.
        flow_back (Tensor): Flow of the other frame, of the same shape.
        relative (float): Tolerance that grows with the motion. Defaults to 0.01.
        absolute (float): Tolerance in squared pixels. Defaults to 0.5.

    Returns:
        Tensor: (n, 1, h, w), float32, 1 visible and 0 hidden. Without a gradient.
    """
    flow, flow_back = flow.float(), flow_back.float()
    back = warp(flow_back, flow, 'border')
    gap = (flow + back).square().sum(1, keepdim=True)
    motion = (flow.square() + back.square()).sum(1, keepdim=True)
    return inside_frame(flow) * (gap <= relative * motion + absolute)
