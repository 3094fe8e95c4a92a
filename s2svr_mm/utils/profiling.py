# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Count the multiply-adds of a network."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torchvision  # noqa: F401  # its operators are registered by the import
from torch.utils.flop_counter import FlopCounterMode


def count_macs(function: Callable[[], object]) -> int:
    """Count the multiply-adds of convolutions and matrix products while something runs.

    torch's counter sees each operation as it runs, whatever the device, backward passes and
    deformable convolutions included: torchvision's by their shapes, mmcv's compiled ones by the
    ``addmm_`` that multiplies the sampled columns.
    mmengine's counter gives the same figures but traces the network, which keeps every
    intermediate result: 15 GB for the plain S2SVR on eight frames of 160x90.

    Args:
        function (Callable): What to run.

    Returns:
        int: Multiply-adds.
    """
    operators = {
        torch.ops.aten.addmm_: _addmm_flops,
        torch.ops.torchvision.deform_conv2d: _deform_conv_flops,
        torch.ops.torchvision._deform_conv2d_backward: _deform_conv_backward_flops,
    }
    with FlopCounterMode(display=False, custom_mapping=operators) as counter:
        function()
    return counter.get_total_flops() // 2


def _addmm_flops(_self: torch.Size, a: torch.Size, b: torch.Size, *args: Any, **kwargs: Any) -> int:
    return 2 * a[0] * a[1] * b[1]


def _deform_conv_flops(
    _input: torch.Size, weight: torch.Size, *args: Any, out_shape: torch.Size, **kwargs: Any
) -> int:
    return 2 * math.prod(out_shape) * math.prod(weight[1:])


def _deform_conv_backward_flops(
    grad: torch.Size, _input: torch.Size, weight: torch.Size, *args: Any, **kwargs: Any
) -> int:
    # One product towards the sampled columns, one towards the weight.
    return 4 * math.prod(grad) * math.prod(weight[1:])
