# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""PSNR as a loss."""

import torch.nn as nn
from mmagic.registry import MODELS
from torch import Tensor

from ..errors import ConfigError


@MODELS.register_module()
class ClipPSNRLoss(nn.Module):
    """Minus the PSNR of the frames of clips, as HINet is trained (Chen et al., CVPRW 2021).

    A decibel counts the same in a clip that is nearly perfect as in a bad one, where the squared
    error and its relatives hardly see the former. (mmagic's ``PSNRLoss`` takes single frames and
    has no ceiling but at 80 dB.)

    Args:
        loss_weight (float): Weight. Defaults to 0.005: per squared error, 22 at 30 dB.
        ceiling (float): PSNR in dB, by which the mean squared error is raised, so that what is
            better hardly counts. Defaults to 50.0.
    """

    def __init__(self, loss_weight: float = 0.005, ceiling: float = 50.0) -> None:
        super().__init__()
        if ceiling <= 0:
            raise ConfigError(f'ceiling must be above 0 dB, but got {ceiling}.')
        self.loss_weight = loss_weight
        self.floor = 10 ** (-ceiling / 10)

    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Measure how far frames are from the ground truth.

        Args:
            restored (Tensor): (..., 3, h, w), RGB in [0, 1].
            truth (Tensor): The same shape.

        Returns:
            Tensor: A scalar, ``loss_weight`` times the mean over frames of 10 log10 of the squared
            error; negative.
        """
        errors = (restored.float() - truth.float()).square().mean(dim=(-3, -2, -1))
        return self.loss_weight * 10 * (errors + self.floor).log10().mean()
