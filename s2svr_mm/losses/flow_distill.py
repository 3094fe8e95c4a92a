# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""How far a student's flow is from its teacher's."""

import torch.nn as nn
from mmagic.registry import MODELS
from torch import Tensor

from ..errors import ConfigError
from ..ops.resize_flow import rescale_flow
from .reduction import check_reduction, masked_mean


@MODELS.register_module()
class FlowDistillLoss(nn.Module):
    """Robust distance of two flows: the mean over x and y of ``(|difference| + eps)^q``.

    The norm is that of DDFlow (AAAI 2019) and ARFlow (CVPR 2020). No gradient reaches the
    teacher. Where the sizes differ, the teacher's flow is brought to the student's, values with
    size, and a pixel counts as far as what it covers is visible.

    Args:
        eps (float): Keeps the slope finite at 0. Defaults to 0.01.
        q (float): Exponent; smaller ones are more robust to outliers. Defaults to 0.4.
        loss_weight (float): Weight. Defaults to 1.0.
        reduction (str): 'mean' over the visible pixels, or 'none'. Defaults to 'mean'.

    Raises:
        ConfigError: If ``eps`` or ``q`` is not positive, or ``reduction`` is unknown.
    """

    def __init__(
        self,
        eps: float = 0.01,
        q: float = 0.4,
        loss_weight: float = 1.0,
        reduction: str = 'mean',
    ) -> None:
        super().__init__()
        if eps <= 0 or q <= 0:
            raise ConfigError(f'eps and q must be positive, but got eps={eps}, q={q}.')
        self.eps = eps
        self.q = q
        self.loss_weight = loss_weight
        self.reduction = check_reduction(reduction)

    def forward(self, student: Tensor, teacher: Tensor, visible: Tensor | None = None) -> Tensor:
        """Compare two flows.

        Args:
            student (Tensor): (n, 2, h, w), pixels, x first.
            teacher (Tensor): (n, 2, H, W), of the same field of view, in its own pixels.
            visible (Tensor, optional): (n, 1, H, W), 1 where the teacher is to be believed.
                Defaults to None (everywhere).

        Returns:
            Tensor: A scalar, or with ``reduction='none'`` a map (n, 1, h, w), 0 where ``visible``
            is.
        """
        teacher = teacher.detach()
        if teacher.shape[-2:] != student.shape[-2:]:
            teacher, visible = rescale_flow(teacher, student.shape[-2:], visible)
        distance = ((student - teacher).abs() + self.eps) ** self.q
        distance = self.loss_weight * distance.mean(1, keepdim=True)
        if self.reduction == 'mean':
            return masked_mean(distance, visible)
        return distance if visible is None else distance * visible
