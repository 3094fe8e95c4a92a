# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""PSNR as a loss."""

import torch.nn as nn
from mmagic.registry import MODELS
from torch import Tensor

from ..errors import ConfigError


@MODELS.register_module()
class ClipPSNRLoss(nn.Module):
    """Negative PSNR, averaged over the frames of clips, as HINet has it (Chen et al., CVPRW 2021).

    A decibel counts the same in nearly perfect and in bad frames; under the squared error the
    former hardly contribute. (mmagic's ``PSNRLoss`` takes (n, c, h, w) only, and its fixed 1e-8
    amounts to a ceiling of 80 dB.)

    Args:
        loss_weight (float): Weight. Defaults to 0.005, whose gradient at 30 dB is that of 22 times
            the mean squared error.
        ceiling (float): PSNR in dB. The squared error that corresponds to it is added to that of
            each frame, so that better frames hardly count. Defaults to 50.0.
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
            Tensor: A scalar, ``loss_weight`` times the mean over frames of ``10 log10(error +
            10^(-ceiling / 10))`` with a frame's mean squared error.

        Raises:
            ValueError: If the shapes differ.
        """
        if restored.shape != truth.shape:
            raise ValueError(
                f'Frames of {tuple(restored.shape)} have a ground truth of {tuple(truth.shape)}.'
            )
        errors = (restored.float() - truth.float()).square().mean(dim=(-3, -2, -1))
        return self.loss_weight * 10 * (errors + self.floor).log10().mean()
