# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Mixed precision without a loss scale, on CPU and GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmagic.registry import OPTIM_WRAPPERS
from mmengine.optim import OptimWrapper
from torch import nn


@OPTIM_WRAPPERS.register_module()
class BF16OptimWrapper(OptimWrapper):
    """mmengine's OptimWrapper with the forward pass under bfloat16 autocast.

    bfloat16 has float32's range, so gradients need no scaling. (mmengine's AmpOptimWrapper refuses
    to run without a GPU.) Weights and optimizer state stay float32.

    Args:
        optimizer: The optimizer.
        **kwargs: Further arguments of :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Run the forward pass under autocast.

        Args:
            model: The model that is trained; its device decides.
        """
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
