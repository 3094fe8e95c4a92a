# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Count the multiply-adds of a network."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def count_macs(function: Callable[[], object]) -> int:
    """Count the multiply-adds of convolutions and matrix products while something runs.

    torch's counter sees each operation as it runs, whatever the device, backward passes and
    deformable convolutions (whose sampled columns mmcv multiplies with ``addmm_``) included.
    mmengine's counter gives the same figures but traces the network, which keeps every
    intermediate result: 15 GB for the plain S2SVR on eight frames of 160x90.

    Args:
        function (Callable): What to run.

    Returns:
        int: Multiply-adds.
    """
    in_place = {torch.ops.aten.addmm_: _addmm_flops}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        function()
    return counter.get_total_flops() // 2


def _addmm_flops(_self: torch.Size, a: torch.Size, b: torch.Size, *args: Any, **kwargs: Any) -> int:
    return 2 * a[0] * a[1] * b[1]
