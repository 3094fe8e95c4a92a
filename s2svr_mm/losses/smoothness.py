# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Edge-aware smoothness loss of optical flow."""

import torch.nn as nn
from mmagic.registry import MODELS
from torch import Tensor

from ..compat import import_mmflow


@MODELS.register_module()
class EdgeAwareSmoothnessLoss(nn.Module):
    """First-order smoothness of a flow, by mmflow: ``|grad f| exp(-edge_weight mean|grad I|)``.

    The flow counts in its own pixels, so that the weight means the same at any size of a crop.
    ARFlow (CVPR 2020) divides by the shorter side and weighs 50: on its flows of 96 and more rows
    at 1/4 of the frame's size that is about 0.5 here.

    Args:
        edge_weight (float): How much edges of the frame relax the penalty. Defaults to 10.0.
        loss_weight (float): Weight. Defaults to 0.5.
    """

    def __init__(self, edge_weight: float = 10.0, loss_weight: float = 0.5) -> None:
        super().__init__()
        self.edge_weight = edge_weight
        self.loss_weight = loss_weight

    def forward(self, flow: Tensor, frame: Tensor) -> Tensor:
        """Measure how a flow changes from pixel to pixel.

        Args:
            flow (Tensor): (n, 2, h, w), pixels; h and w 2 or more.
            frame (Tensor): The frame it lives on, (n, 3, h, w), RGB in [0, 1].

        Returns:
            Tensor: A scalar.

        Raises:
            ValueError: If the sizes differ or are below 2.
        """
        if flow.shape[-2:] != frame.shape[-2:] or min(flow.shape[-2:]) < 2:
            raise ValueError(
                'Smoothness needs a flow and its frame of one size from 2x2, but got '
                f'{tuple(flow.shape)} and {tuple(frame.shape)}.'
            )
        import_mmflow()
        from mmflow.models.losses.smooth_loss import smooth_1st_loss

        return self.loss_weight * smooth_1st_loss(flow, frame, self.edge_weight)
