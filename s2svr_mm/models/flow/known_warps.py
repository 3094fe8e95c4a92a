# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Synthetic flow for the first stage of a training."""

import torch.nn as nn
from mmagic.registry import MODELS
from torch import Tensor

from ...errors import ConfigError
from ...ops.synthetic_flow import synthetic_pair


@MODELS.register_module()
class KnownWarps(nn.Module):
    """Pairs of :func:`.synthetic_pair` whose motion grows, which training from scratch needs.

    Args:
        max_motion (float): Longest vector in pixels. Pairs are cropped by as much on each side.
            Defaults to 16.0.
        min_motion (float): Longest vector at the first iteration. Defaults to 1.0.
        grow_iters (int): Iterations until it is ``max_motion``. Defaults to 0.
        max_layers (int): Most layers, the background among them. Defaults to 4.
        variation (float): How much brightness and noise differ; see :func:`.synthetic_pair`.
            Defaults to 1.0.

    Raises:
        ConfigError: If the motions are not 0 < min_motion <= max_motion, or ``max_layers`` < 1.
    """

    def __init__(
        self,
        max_motion: float = 16.0,
        min_motion: float = 1.0,
        grow_iters: int = 0,
        max_layers: int = 4,
        variation: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 < min_motion <= max_motion or max_layers < 1:
            raise ConfigError(
                'KnownWarps needs 0 < min_motion <= max_motion and max_layers >= 1, but got '
                f'{min_motion}, {max_motion} and {max_layers}.'
            )
        self.max_motion = max_motion
        self.min_motion = min_motion
        self.grow_iters = grow_iters
        self.max_layers = max_layers
        self.variation = variation

    def forward(self, frames: Tensor, iteration: int) -> tuple[Tensor, Tensor, Tensor]:
        """Make a pair of each frame.

        Args:
            frames (Tensor): (n, 3, h, w), RGB in [0, 1], larger than twice ``max_motion``.
            iteration (int): Training iterations done.

        Returns:
            tuple[Tensor, Tensor, Tensor]: What :func:`.synthetic_pair` returns.
        """
        progress = min(1.0, iteration / self.grow_iters) if self.grow_iters else 1.0
        longest = self.min_motion + progress * (self.max_motion - self.min_motion)
        return synthetic_pair(frames, self.max_motion, longest, self.max_layers, self.variation)
