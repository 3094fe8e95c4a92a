# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Photometric loss between a frame and its neighbour warped onto it."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.registry import MODELS
from torch import Tensor

from ..compat import import_mmflow
from ..errors import ConfigError
from .reduction import check_reduction, masked_mean


@MODELS.register_module()
class PhotometricLoss(nn.Module):
    """L1, SSIM and census distance between a frame and a warped one, over visible pixels.

    The terms and constants are those of ARFlow (Learning by Analogy, CVPR 2020); its first stage
    weighs L1 0.15 and SSIM 0.85, its second census alone. A term of weight 0 costs nothing.

    Args:
        l1_weight (float): Weight of the mean absolute difference. Defaults to 0.15.
        ssim_weight (float): Weight of (1 - SSIM) / 2 in 3x3 windows, by mmflow. Defaults to 0.85.
        census_weight (float): Weight of :func:`census_distance`. Defaults to 0.0.
        loss_weight (float): Weight of their sum. Defaults to 1.0.
        reduction (str): 'mean' over the visible pixels, or 'none'. Defaults to 'mean'.

    Raises:
        ConfigError: If no term has a weight, one is negative, or ``reduction`` is unknown.
    """

    def __init__(
        self,
        l1_weight: float = 0.15,
        ssim_weight: float = 0.85,
        census_weight: float = 0.0,
        loss_weight: float = 1.0,
        reduction: str = 'mean',
    ) -> None:
        super().__init__()
        weights = {_l1: l1_weight, _ssim: ssim_weight, census_distance: census_weight}
        if min(weights.values()) < 0 or not any(weights.values()):
            raise ConfigError(
                'PhotometricLoss needs weights of at least 0, one of them positive, but got '
                f'l1_weight={l1_weight}, ssim_weight={ssim_weight}, census_weight={census_weight}.'
            )
        self.terms = {term: weight for term, weight in weights.items() if weight}
        self.loss_weight = loss_weight
        self.reduction = check_reduction(reduction)

    def forward(self, frame: Tensor, warped: Tensor, visible: Tensor | None = None) -> Tensor:
        """Compare two frames.

        Args:
            frame (Tensor): (n, 3, h, w), RGB in [0, 1].
            warped (Tensor): Its neighbour sampled along the flow, of the same shape.
            visible (Tensor, optional): (n, 1, h, w), 1 where a pixel counts. Defaults to None.

        Returns:
            Tensor: A scalar, or with ``reduction='none'`` a map (n, 1, h, w), 0 where ``visible``
            is.

        Raises:
            ValueError: If the shapes differ.
        """
        if frame.shape != warped.shape:
            raise ValueError(
                'Only frames of one shape can be compared, but got '
                f'{tuple(frame.shape)} and {tuple(warped.shape)}.'
            )
        terms = (weight * term(frame, warped) for term, weight in self.terms.items())
        distance = sum(terms, torch.zeros(()))
        distance = self.loss_weight * distance
        if self.reduction == 'mean':
            return masked_mean(distance, visible)
        return distance if visible is None else distance * visible


def _l1(frame: Tensor, warped: Tensor) -> Tensor:
    return (frame - warped).abs().mean(1, keepdim=True)


def _ssim(frame: Tensor, warped: Tensor) -> Tensor:
    import_mmflow()
    from mmflow.models.losses.ssim import weighted_ssim

    frame, warped = (F.pad(x, (1, 1, 1, 1), mode='replicate') for x in (frame, warped))
    return weighted_ssim(frame, warped).mean(1, keepdim=True)


def census_distance(frame: Tensor, warped: Tensor) -> Tensor:
    """Soft Hamming distance between the census transforms of two frames.

    Each pixel is described by whether its eight neighbours are brighter or darker, softly:
    t / sqrt(0.81 + t^2) of the differences t in grey levels of [0, 255]. Two descriptions differ
    by the mean of d^2 / (0.1 + d^2), d being the difference of an element (DDFlow, AAAI 2019;
    constants of ARFlow). A change of brightness makes no difference. (mmflow's ``census_loss`` is
    the mean of this over all inner pixels; it cannot leave out hidden ones.)

    Args:
        frame (Tensor): (n, 3, h, w), RGB in [0, 1].
        warped (Tensor): Of the same shape.

    Returns:
        Tensor: (n, 1, h, w). Neighbours outside the frame do not differ.
    """
    difference = _census(frame) - _census(warped)
    squared = difference**2
    # The pixel itself is the ninth element and never differs.
    return (squared / (0.1 + squared)).sum(1, keepdim=True) / 9


def _census(frame: Tensor) -> Tensor:
    dtype = torch.float64 if frame.dtype == torch.float64 else torch.float32
    grey = 255 * torch.einsum(
        'nchw,c->nhw', frame.to(dtype), frame.new_tensor((0.2989, 0.5870, 0.1140), dtype=dtype)
    )
    h, w = grey.shape[1:]
    padded = F.pad(grey[:, None], (1, 1, 1, 1), mode='replicate')[:, 0]
    shifts = [(dy, dx) for dy in range(3) for dx in range(3) if (dy, dx) != (1, 1)]
    neighbours = [padded[:, dy : dy + h, dx : dx + w] for dy, dx in shifts]
    t = torch.stack(neighbours, 1) - grey[:, None]
    return t * torch.rsqrt(0.81 + t**2)
