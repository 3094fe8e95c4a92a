# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""mmcv's deformable convolutions, computed by torchvision."""

import torch
from torch import Tensor
from torchvision.ops import deform_conv2d as convolve


def modulated_deform_conv2d(
    input: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    deform_groups: int = 1,
) -> Tensor:
    """Compute ``mmcv.ops.modulated_deform_conv2d`` by torchvision.

    Args:
        input (Tensor): Of shape (n, c_in, h, w).
        offset (Tensor): Of shape (n, 2 * deform_groups * kh * kw, h_out, w_out), y before x.
        mask (Tensor, optional): Of shape (n, deform_groups * kh * kw, h_out, w_out); None weighs
            all samples alike.
        weight (Tensor): Of shape (c_out, c_in / groups, kh, kw).
        bias (Tensor, optional): Of shape (c_out,). Defaults to None.
        stride (int | tuple[int, int]): Defaults to 1.
        padding (int | tuple[int, int]): Defaults to 0.
        dilation (int | tuple[int, int]): Defaults to 1.
        groups (int): Defaults to 1. torchvision reads it from the shapes, as the next.
        deform_groups (int): Defaults to 1.

    Returns:
        Tensor: Of shape (n, c_out, h_out, w_out) and the type of ``offset``, as mmcv's.
    """
    dtype = offset.dtype
    # The operator has no bfloat16.
    compute = torch.float32 if dtype == torch.bfloat16 else dtype
    output = convolve(
        input.to(compute),
        offset.to(compute),
        weight.to(compute),
        None if bias is None else bias.to(compute),
        stride,
        padding,
        dilation,
        None if mask is None else mask.to(compute),
    )
    return output.to(dtype)


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
    deform_groups: int = 1,
    bias: bool = False,
    im2col_step: int = 32,
) -> Tensor:
    """Compute ``mmcv.ops.deform_conv2d`` by torchvision; see :func:`modulated_deform_conv2d`."""
    return modulated_deform_conv2d(
        input, offset, None, weight, None, stride, padding, dilation, groups, deform_groups
    )
