# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""mmagic's SPyNet in operations that ONNX can hold."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.warp import warp

# SPyNet halves its input five times.
_MULTIPLE = 32


def spynet_flow(spynet: Any, ref: Tensor, supp: Tensor) -> Tensor:
    """Estimate flow as mmagic's SPyNet does (Ranjan and Black, CVPR 2017).

    mmagic computes sizes as Python integers, which tracing would freeze into the graph. Here they
    are taken from the frames, so that a graph serves frames of any size.

    Args:
        spynet (nn.Module): mmagic's ``SPyNet``.
        ref (Tensor): Frames where the flow lives, (n, 3, h, w), RGB in [0, 1].
        supp (Tensor): Frames that it samples, of the same shape.

    Returns:
        Tensor: (n, 2, h, w), pixels, x first.
    """
    size = ref.shape[-2:]
    enlarged = [(side + _MULTIPLE - 1) // _MULTIPLE * _MULTIPLE for side in size]
    pyramids = []
    for frames in (ref, supp):
        resized = F.interpolate(frames, size=enlarged, mode='bilinear', align_corners=False)
        pyramid = [(resized - spynet.mean) / spynet.std]
        for _ in spynet.basic_module[1:]:
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))
        pyramids.append(pyramid[::-1])
    flow = torch.zeros_like(pyramids[0][0][:, :2])
    for level, (module, a, b) in enumerate(zip(spynet.basic_module, *pyramids, strict=True)):
        if level:
            flow = 2 * F.interpolate(flow, scale_factor=2, mode='bilinear', align_corners=True)
        aligned = warp(b, flow, padding_mode='border')
        flow = flow + module(torch.cat((a, aligned, flow), dim=1))
    x, y = F.interpolate(flow, size=size, mode='bilinear', align_corners=False).split(1, dim=1)
    return torch.cat((x * (size[1] / enlarged[1]), y * (size[0] / enlarged[0])), dim=1)
