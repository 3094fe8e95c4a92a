# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Branch beside the recurrence that compares each frame with its neighbours."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmengine.model import BaseModule, constant_init
from torch import Tensor

from ..errors import ConfigError
from ..ops.lucas_kanade import refine_flow, window_mean
from ..ops.pixel_unshuffle import unshuffle
from ..ops.warp import warp
from .conv_gru import conv_for_lrelu, residual_blocks


class DetailBranch(BaseModule):
    """Convolutions from a frame's differences to its neighbours to a residual. Not in the paper.

    The input is the frame minus its local mean, and each neighbour minus the frame, scaled to about
    unit variance. Where the restored frame is the input plus a small correction (deblurring,
    compression artefacts), the recurrence alone trains for hours without ever comparing neighbours;
    in their differences the correction is nearly linear. The residual starts at zero, so training
    can add the branch to a network trained without it.

    Args:
        channels (int): Channels of the features.
        num_blocks (int): Residual blocks.
        unshuffle (int): As of :class:`.S2SVRPlusNet`. Defaults to 1.
        aligned (int): Neighbours on each side that are warped to the frame (for compression
            artefacts). Flows over more than one frame are composed of those between neighbours, and
            refined by :func:`.refine_flow` at each step. Defaults to 1.
        in_place (int): Neighbours on each side that are not warped (for blur: where exposures
            overlap, they differ by the light of single instants). Defaults to 0.

    Raises:
        ConfigError: If a number is not possible; the message says which.
    """

    def __init__(
        self,
        channels: int,
        num_blocks: int,
        unshuffle: int = 1,
        aligned: int = 1,
        in_place: int = 0,
    ) -> None:
        super().__init__()
        for name, value in (
            ('num_blocks', num_blocks),
            ('aligned', aligned),
            ('in_place', in_place),
        ):
            if value < 0:
                raise ConfigError(f'{name} must be at least 0, but got {value}.')
        self.unshuffle = unshuffle
        self.aligned = aligned
        self.in_place = in_place
        frames = 1 + 2 * (aligned + in_place)
        self.first = conv_for_lrelu(3 * frames * unshuffle**2, channels)
        self.blocks = residual_blocks(channels, num_blocks)
        self.last = nn.Conv2d(channels, 3 * unshuffle**2, 3, padding=1)
        constant_init(self.last, 0)

    def forward(
        self,
        i: int,
        frames: Sequence[Tensor],
        flows_forward: Sequence[Tensor],
        flows_backward: Sequence[Tensor],
    ) -> Tensor:
        """Restore one frame. A neighbour beyond an end of the clip counts as equal to it.

        Args:
            i (int): Its number.
            frames (Sequence[Tensor]): The clip, t of (n, 3, h, w), RGB in [0, 1].
            flows_forward (Sequence[Tensor]): t - 1; the i-th lives on frame i + 1 and samples
                frame i: (n, 2, h, w).
            flows_backward (Sequence[Tensor]): t - 1; the i-th lives on frame i and samples frame
                i + 1.

        Returns:
            Tensor: Residual, (n, 3 * unshuffle ** 2, ceil(h / unshuffle), ceil(w / unshuffle)).
        """
        return self.residual(self.seen(i, frames, flows_forward, flows_backward))

    def seen(
        self,
        i: int,
        frames: Sequence[Tensor],
        flows_forward: Sequence[Tensor],
        flows_backward: Sequence[Tensor],
    ) -> Tensor:
        """Compute the input of the convolutions for one frame; no weight of the branch is used.

        Args:
            i (int): As :meth:`forward`.
            frames (Sequence[Tensor]): As :meth:`forward`.
            flows_forward (Sequence[Tensor]): As :meth:`forward`.
            flows_backward (Sequence[Tensor]): As :meth:`forward`.

        Returns:
            Tensor: (n, 3 * unshuffle ** 2 * (1 + 2 * aligned + 2 * in_place), h, w) of the size of
            the residual.
        """
        frame = frames[i]
        before, after = frames[:i][::-1], frames[i + 1 :]
        aligned_before = self._align(frame, before[: self.aligned], flows_forward[:i][::-1])
        aligned_after = self._align(frame, after[: self.aligned], flows_backward[i:])
        return self.compare(frame, aligned_before, aligned_after, before, after)

    def compare(
        self,
        frame: Tensor,
        aligned_before: Sequence[Tensor],
        aligned_after: Sequence[Tensor],
        before: Sequence[Tensor],
        after: Sequence[Tensor],
    ) -> Tensor:
        """Compute the input of the convolutions from a frame and its neighbours.

        Args:
            frame (Tensor): (n, 3, h, w), RGB in [0, 1].
            aligned_before (Sequence[Tensor]): Earlier neighbours aligned to the frame, nearest
                first, at most ``aligned`` of (n, 3, h, w).
            aligned_after (Sequence[Tensor]): Later neighbours, likewise.
            before (Sequence[Tensor]): Earlier neighbours as they are, nearest first.
            after (Sequence[Tensor]): Later neighbours, likewise.

        Returns:
            Tensor: As of :meth:`seen`.
        """
        # What moved differs more than what is aligned.
        parts = [
            10 * (frame - window_mean(frame, 9)),
            *_differences(frame, aligned_before, aligned_after, self.aligned, 20),
            *_differences(frame, before, after, self.in_place, 6),
        ]
        seen = unshuffle(torch.cat(parts, dim=1), self.unshuffle)
        return seen.contiguous(memory_format=torch.channels_last)

    def residual(self, seen: Tensor) -> Tensor:
        """Compute the residual from what :meth:`seen` returns.

        Args:
            seen (Tensor): (n, c, h, w).

        Returns:
            Tensor: Residual, (n, 3 * unshuffle ** 2, h, w).
        """
        x = F.leaky_relu(self.first(seen), 0.1, inplace=True)
        return self.last(self.blocks(x))

    def _align(
        self, frame: Tensor, neighbours: Sequence[Tensor], flows: Sequence[Tensor]
    ) -> list[Tensor]:
        """Align neighbours of one side, nearest first; each flow leads from one to the next."""
        aligned: list[Tensor] = []
        flow = None
        for neighbour, step in zip(neighbours, flows, strict=False):
            if flow is None:
                flow = step
            else:
                flow = flow + warp(step, flow, padding_mode='border')
                flow = refine_flow(frame, neighbour, flow)
            aligned.append(warp(neighbour, flow, padding_mode='border'))
        return aligned


def _differences(
    frame: Tensor, before: Sequence[Tensor], after: Sequence[Tensor], count: int, factor: float
) -> Iterator[Tensor]:
    """Yield neighbours minus the frame, both sides in turn; zero where there is none."""
    for distance in range(count):
        for side in (before, after):
            known = distance < len(side)
            yield factor * (side[distance] - frame) if known else torch.zeros_like(frame)
