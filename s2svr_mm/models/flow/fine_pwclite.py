# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Flow that reaches the pixel: levels at a half and the whole of the frames' size."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from ...checkpoints.matching import StrictInit
from ...errors import ConfigError
from ...ops.bilateral_filter import filter_flow
from ...ops.chunking import in_chunks
from ...ops.cost_volume import cost_volume
from ...ops.lucas_kanade import refine_flow, window_mean
from ...ops.warp import FlowSampler
from .estimators import neighbour_flows
from .pwclite import check_pair, conv, unit_features, zero_init

# How much the differences of aligned frames are enlarged, to stand beside the other inputs.
_CONTRAST = 10
# Side of the square that the flow of its middle is compared with.
_NEIGHBOURHOOD = 9


class FineFeatures(BaseModule):
    """Features at the frames' size and at half of it, two convolutions each.

    Args:
        channels (int): Channels of both.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(3, channels)
        self.at_full = conv(channels, channels)
        self.down = conv(channels, channels, stride=2)
        self.at_half = conv(channels, channels)
        self.up = conv(channels, channels, kernel=1)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Extract features.

        Args:
            frames (Tensor): (n, 3, h, w), RGB in [0, 1], h and w even.

        Returns:
            tuple[Tensor, Tensor]: Features of unit mean square, (n, channels, h / 2, w / 2) and
            (n, channels, h, w).
        """
        x = (frames - 0.5).contiguous(memory_format=torch.channels_last)
        full = self.at_full(F.leaky_relu(self.first(x), 0.1))
        half = self.at_half(F.leaky_relu(self.down(F.leaky_relu(full, 0.1)), 0.1))
        full = full + enlarge(self.up(F.leaky_relu(half, 0.1)))
        return unit_features(half), unit_features(full)


class FineDecoder(BaseModule):
    """Residual flow from a cost volume of small radius, by a few slim convolutions.

    Args:
        features (int): Channels of the features.
        radius (int): Radius of the cost volume.
        channels (Sequence[int]): Channels of the convolutions.
        dilations (Sequence[int]): Their dilations.
        state (int): Channels of what a coarser decoder hands on. Defaults to 0.
    """

    def __init__(
        self,
        features: int,
        radius: int,
        channels: Sequence[int],
        dilations: Sequence[int],
        state: int = 0,
    ) -> None:
        super().__init__(init_cfg=zero_init('predict'))
        self.radius = radius
        inputs = ((2 * radius + 1) ** 2 + features + 3 + 2 + state, *channels[:-1])
        self.convs = nn.ModuleList(
            conv(i, o, dilation=d) for i, o, d in zip(inputs, channels, dilations, strict=True)
        )
        self.predict = conv(channels[-1], 2)

    def forward(
        self,
        frames: tuple[Tensor, Tensor],
        features: tuple[Tensor, Tensor],
        flow: Tensor,
        state: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Improve a flow.

        Args:
            frames (tuple[Tensor, Tensor]): Reference and supporting frames, (n, 3, h, w).
            features (tuple[Tensor, Tensor]): Their features, (n, c, h, w).
            flow (Tensor): (n, 2, h, w), pixels of this size, x first.
            state (Tensor, optional): (n, state, h, w). Defaults to None.

        Returns:
            tuple[Tensor, Tensor]: The flow, float32, and the state of this level.
        """
        sampler = FlowSampler(flow, 'border')
        # The flow itself may be long; what tells where it breaks is how it differs around.
        mean = window_mean(flow, _NEIGHBOURHOOD)
        inputs = [
            cost_volume(features[0], sampler(features[1]), self.radius),
            features[0],
            _CONTRAST * (frames[0] - sampler(frames[1])),
            flow - mean,
            *([] if state is None else [state]),
        ]
        # Of one layout, or what follows would first have to turn all of it.
        dtype = inputs[0].dtype
        x = torch.cat([p.to(dtype=dtype, memory_format=torch.channels_last) for p in inputs], 1)
        for layer in self.convs:
            x = F.leaky_relu(layer(x), 0.1, inplace=True)
        return flow + self.predict(x).float(), x


def enlarge(x: Tensor) -> Tensor:
    """Double the size of maps that show the same field of view."""
    return F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False)


def enlarge_frame(frame: Tensor) -> Tensor:
    """Double the size of frames in [0, 1], by bicubic interpolation, at least in float32."""
    frame = frame.to(torch.promote_types(frame.dtype, torch.float32))
    return F.interpolate(frame, scale_factor=2, mode='bicubic', align_corners=False).clamp(0, 1)


@MODELS.register_module()
class FinePWCLite(StrictInit):
    """PWC-Lite with two levels more, at a half and the whole of the size of what it sees.

    PWC-Lite's finest flow lives on a grid of four pixels, and what is enlarged from it is off by
    about a quarter of one. Here two slim decoders go on from it, each fed by a correlation of small
    radius between features of its own size, and steps of least squares (:func:`.refine_flow`,
    differentiable) stand between and after them, for the last fraction of a pixel. After each step
    the flow is averaged over what looks alike and matches (:func:`.filter_flow`). The last steps
    see the frames enlarged twice, where the same window spans half as much. Not in the paper.

    The coarse levels are a whole :class:`PWCLite`, so that the weights of one start the training.

    Args:
        coarse (dict | nn.Module): The :class:`PWCLite`, or its config, which may name weights in
            its ``init_cfg``; any other estimator of pairs does too. Defaults to
            ``dict(type='PWCLite', normalize_features=True)``.
        features (int): Channels of the features of both levels. Defaults to 16.
        radii (tuple[int, int]): Radii of the cost volumes at 1/2 and 1/1. Defaults to (3, 2).
        half_channels (Sequence[int]): Channels of the decoder at 1/2. Defaults to (48, 48, 32, 32).
        full_channels (Sequence[int]): Channels of the decoder at 1/1. Defaults to (24, 24, 16, 16).
        dilations (Sequence[int]): Dilations of the convolutions of both. Defaults to (1, 2, 4, 1).
        windows (Sequence[int]): Sides of the windows of the least-squares steps: before the decoder
            at 1/2, before the one at 1/1, and any number after it. 0 leaves a step and the filter
            after it out. Defaults to (9, 9, 9).
        enlarged_windows (Sequence[int]): Sides of the windows of the last steps, which see the
            frames enlarged twice; () for none. Defaults to (11, 9).
        init_cfg (dict, optional): Initialization config, of all levels. Defaults to Kaiming's for
            what ``coarse`` has no weights for.

    Raises:
        ConfigError: If there are fewer than two windows, or the numbers of channels and dilations
            differ.
    """

    def __init__(
        self,
        coarse: dict | nn.Module | None = None,
        features: int = 16,
        radii: tuple[int, int] = (3, 2),
        half_channels: Sequence[int] = (48, 48, 32, 32),
        full_channels: Sequence[int] = (24, 24, 16, 16),
        dilations: Sequence[int] = (1, 2, 4, 1),
        windows: Sequence[int] = (9, 9, 9),
        enlarged_windows: Sequence[int] = (11, 9),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg or dict(type='Kaiming', layer='Conv2d', a=0.1))
        if len(windows) < 2 or not len(half_channels) == len(full_channels) == len(dilations):
            raise ConfigError(
                'FinePWCLite needs at least two windows and as many channels as dilations, but got '
                f'windows={windows}, half_channels={half_channels}, full_channels={full_channels}, '
                f'dilations={dilations}.'
            )
        if coarse is None:
            coarse = dict(type='PWCLite', normalize_features=True)
        self.coarse: Any = MODELS.build(coarse) if isinstance(coarse, dict) else coarse
        self.windows = tuple(windows)
        self.enlarged_windows = tuple(enlarged_windows)
        self.features = FineFeatures(features)
        self.at_half = FineDecoder(features, radii[0], half_channels, dilations)
        self.at_full = FineDecoder(features, radii[1], full_channels, dilations, half_channels[-1])
        self.to(memory_format=torch.channels_last)

    def forward(self, ref: Tensor, supp: Tensor) -> Tensor:
        """Estimate flow; see :meth:`PWCLite.forward`."""
        check_pair(ref, supp)
        return self._refine(ref, supp, self.coarse(ref, supp))[0]

    def flow_pyramid(self, ref: Tensor, supp: Tensor) -> list[Tensor]:
        """Estimate the flow of pairs of frames, with that of every level.

        Args:
            ref (Tensor): Reference frames, (n, 3, h, w), RGB in [0, 1], of any size.
            supp (Tensor): Supporting frames, of the same shape.

        Returns:
            list[Tensor]: Finest first: what :meth:`forward` returns, what the decoders at 1/1 and
            1/2 return, each at the size that it works at (rounded up), and those of
            :meth:`PWCLite.flow_pyramid`.

        Raises:
            DataError: If the frames are no pair; see :func:`.check_pair`.
        """
        coarse = self.coarse.flow_pyramid(ref, supp)
        return [*self._refine(ref, supp, coarse[0]), *coarse]

    def flow_pyramids(self, first: Tensor, second: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Estimate what :meth:`flow_pyramid` does in both directions.

        Args:
            first (Tensor): (n, 3, h, w), RGB in [0, 1], of any size.
            second (Tensor): Of the same shape.

        Returns:
            tuple[list[Tensor], list[Tensor]]: The flows that live on ``first`` and those that
            live on ``second``.

        Raises:
            DataError: If the frames are no pair; see :func:`.check_pair`.
        """
        coarse = self.coarse.flow_pyramids(first, second)
        ref, supp = torch.cat((first, second)), torch.cat((second, first))
        fine = self._refine(ref, supp, torch.cat((coarse[0][0], coarse[1][0])))
        forwards, backwards = zip(*(flow.chunk(2) for flow in fine), strict=True)
        return [*forwards, *coarse[0]], [*backwards, *coarse[1]]

    def neighbour_flows(self, frames: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Estimate the flows between neighbours; see :func:`.neighbour_flows`."""
        forwards, backwards = neighbour_flows(self.coarse, frames)
        earlier, later = list(frames[:-1]), list(frames[1:])

        def refine(ref: Tensor, supp: Tensor, flow: Tensor) -> Tensor:
            return self._refine(ref, supp, flow)[0]

        flows = list(in_chunks(refine, later + earlier, earlier + later, forwards + backwards))
        return flows[: len(later)], flows[len(later) :]

    def _refine(self, ref: Tensor, supp: Tensor, flow: Tensor) -> list[Tensor]:
        """Return the flow after the last step, after the decoder at 1/1, and after that at 1/2."""
        h, w = ref.shape[-2:]
        ref, supp, flow = (
            F.pad(x, (0, w % 2, 0, h % 2), mode='replicate') for x in (ref, supp, flow.float())
        )
        halves, fulls = (level.chunk(2) for level in self.features(torch.cat((ref, supp))))
        small = F.avg_pool2d(ref, 2), F.avg_pool2d(supp, 2)
        before_half, before_full, *after = self.windows

        flow = F.avg_pool2d(flow, 2) / 2
        flow, state = self.at_half(small, halves, _step(*small, flow, before_half))
        flows = [flow]
        flow = _step(ref, supp, 2 * enlarge(flow), before_full)
        flow, _ = self.at_full((ref, supp), fulls, flow, enlarge(state))
        flows.append(flow[..., :h, :w])
        for window in after:
            flow = _step(ref, supp, flow, window)
        if self.enlarged_windows:
            large = enlarge_frame(ref), enlarge_frame(supp)
            flow = 2 * enlarge(flow)
            for window in self.enlarged_windows:
                flow = _step(*large, flow, window)
            flow = F.avg_pool2d(flow, 2) / 2
        flows.append(flow[..., :h, :w])
        return flows[::-1]


def _step(ref: Tensor, supp: Tensor, flow: Tensor, window: int) -> Tensor:
    if not window:
        return flow
    return filter_flow(ref, supp, refine_flow(ref, supp, flow, window))
