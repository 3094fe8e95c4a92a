# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The network of the S2SVR paper: a clip in, the restored clip out."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from ..errors import ConfigError
from ..ops.warp import FlowSampler
from .conv_gru import (
    ConvGRU,
    ResConvGRU,
    conv_for_lrelu,
    init_zero_mean_kernels,
    maybe_checkpoint,
    residual_blocks,
)
from .flow.estimators import neighbour_flows
from .input_requirements import InputRequirements
from .local_attention import LocalAttention


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1, inplace=True)


class Encoder(BaseModule):
    """Stack of ResConvGRUs, the first of which runs both ways.

    Args:
        mid_channels (int): Channels of the hidden states.
        num_blocks (int): Residual blocks of each GRU.
        num_layers (int): Number of layers, at least 1.
        frame_channels (int): Channels of the frames. Defaults to 3.
    """

    def __init__(
        self, mid_channels: int, num_blocks: int, num_layers: int, frame_channels: int = 3
    ) -> None:
        super().__init__()
        self.forward_layer = ResConvGRU(frame_channels, mid_channels, num_blocks)
        self.backward_layer = ResConvGRU(frame_channels, mid_channels, num_blocks, fuse=True)
        self.layers = nn.ModuleList(
            ResConvGRU(mid_channels, mid_channels, num_blocks, skip=True)
            for _ in range(num_layers - 1)
        )

    def forward(
        self,
        frames: Sequence[Tensor],
        to_next: Sequence[FlowSampler],
        to_previous: Sequence[FlowSampler],
        with_cp: bool = False,
        make_list: Callable[[], Any] = list,
    ) -> tuple[Sequence[Tensor], list[Tensor]]:
        """Encode a clip.

        Args:
            frames (Sequence[Tensor]): t frames, (n, frame_channels, h, w).
            to_next (Sequence[FlowSampler]): t - 1; the i-th warps frame i to frame i + 1.
            to_previous (Sequence[FlowSampler]): t - 1; the i-th warps frame i + 1 to frame i.
            with_cp (bool): As in :class:`S2SVRNet`. Defaults to False.
            make_list (Callable): As in :meth:`S2SVRNet.keep_states_in`. Defaults to ``list``.

        Returns:
            tuple[Sequence[Tensor], list[Tensor]]: Outputs of the top layer, t of (n, c, h, w), and
            the state that each layer hands to the decoder.
        """
        keep: dict[str, Any] = dict(with_cp=with_cp, make_list=make_list)
        # The first layer runs forward, then backward, where the forward states are fused in.
        outputs = self.forward_layer(frames, to_next, **keep)
        states = [outputs[-1]]
        outputs = self.backward_layer(frames[::-1], to_previous[::-1], outputs[::-1], **keep)[::-1]
        # The others run forward, each on the outputs of the one below.
        for layer in self.layers:
            outputs = layer(outputs, to_next, **keep)
            states.append(outputs[-1])
        return outputs, states


class OutputHead(BaseModule):
    """Convolutions and pixel shuffles from features to the residual of a restored frame.

    Args:
        channels (int): Channels of the features.
        scale (int): 1, 2 or 4.
        frame_channels (int): Channels of the residual. Defaults to 3.
    """

    def __init__(self, channels: int, scale: int, frame_channels: int = 3) -> None:
        super().__init__()
        hidden = (channels, channels) if scale == 1 else (channels * 4, channels * 2)
        widths = (channels, *hidden, frame_channels * scale**2)
        convs = [conv_for_lrelu(i, o) for i, o in pairwise(widths)]
        # The residual starts near zero: training begins at the enlarged input.
        convs[-1].weight.data.mul_(0.01)
        self.convs = nn.ModuleList(convs)
        self.steps = {1: 0, 2: 1, 4: 2}[scale]

    def forward(self, x: Tensor) -> Tensor:
        """Compute the residual.

        Args:
            x (Tensor): (n, channels, h, w).

        Returns:
            Tensor: (n, frame_channels, scale * h, scale * w).
        """
        for conv in self.convs[:-1]:
            x = _lrelu(conv(x))
        x = self.convs[-1](x)
        for _ in range(self.steps):
            x = F.pixel_shuffle(x, 2)
        return x


class FeedbackHead(BaseModule):
    """Convolutions from a restored frame to what the decoder reads at its next step.

    Args:
        channels (int): Channels of the features.
        scale (int): 1, 2 or 4: how much smaller the features are.
        frame_channels (int): Channels of the frame. Defaults to 3.
    """

    def __init__(self, channels: int, scale: int, frame_channels: int = 3) -> None:
        super().__init__()
        shrinking = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[scale]
        kernels = [5 if stride == 2 else 3 for stride in shrinking]
        convs = [
            conv_for_lrelu(frame_channels, channels // 2),
            conv_for_lrelu(channels // 2, channels, kernels[0], shrinking[0]),
            conv_for_lrelu(channels, channels * 2, kernels[1], shrinking[1]),
            conv_for_lrelu(channels * 2, channels),
        ]
        if scale == 1:
            init_zero_mean_kernels(convs[0])
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        """Extract features.

        Args:
            x (Tensor): (n, frame_channels, scale * h, scale * w).

        Returns:
            Tensor: (n, channels, h, w).
        """
        # As its sum with the enlarged frame, it lies in memory channel after channel.
        x = x.contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            x = _lrelu(conv(x))
        return x


class Decoder(BaseModule):
    """Stack of ConvGRUs that restores the last frame first, then each from the one after it.

    Args:
        mid_channels (int): Channels of the hidden states.
        num_blocks (int): Residual blocks of each layer.
        num_layers (int): Number of layers, at least 1.
        scale (int): 1, 2 or 4.
        attention_radius (int): How many frames on each side the attention sees.
        frame_channels (int): Channels of the frames. Defaults to 3.
    """

    def __init__(
        self,
        mid_channels: int,
        num_blocks: int,
        num_layers: int,
        scale: int,
        attention_radius: int,
        frame_channels: int = 3,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.attention_radius = attention_radius
        # propagation
        self.grus = nn.ModuleList(ConvGRU(mid_channels, mid_channels) for _ in range(num_layers))
        self.blocks = nn.ModuleList(
            residual_blocks(mid_channels, num_blocks) for _ in range(num_layers)
        )
        # attention; only the layers above the first read the context
        self.fusions = nn.ModuleList(
            conv_for_lrelu(2 * mid_channels, mid_channels) for _ in range(num_layers - 1)
        )
        self.attention = LocalAttention(mid_channels) if num_layers > 1 else None
        # reconstruction
        self.output: nn.Module = OutputHead(mid_channels, scale, frame_channels)
        self.feedback: nn.Module = FeedbackHead(mid_channels, scale, frame_channels)

    def forward(
        self,
        frames: Sequence[Tensor],
        encoded: Sequence[Tensor],
        states: Sequence[Tensor],
        to_next: Sequence[FlowSampler],
        to_previous: Sequence[FlowSampler],
        with_cp: bool = False,
    ) -> list[Tensor]:
        """Restore a clip.

        Args:
            frames (Sequence[Tensor]): t frames, (n, frame_channels, h, w), to which the residuals
                are added.
            encoded (Sequence[Tensor]): Outputs of the encoder, t of (n, c, h, w).
            states (Sequence[Tensor]): The encoder's state for each layer, (n, c, h, w).
            to_next (Sequence[FlowSampler]): As in :meth:`Encoder.forward`.
            to_previous (Sequence[FlowSampler]): As in :meth:`Encoder.forward`.
            with_cp (bool): As in :class:`S2SVRNet`. Defaults to False.

        Returns:
            list[Tensor]: t restored frames, (n, frame_channels, scale * h, scale * w).
        """
        x = encoded[-1]
        restored: list[Tensor] = []
        for i in reversed(range(len(frames))):
            if restored:
                # What frame i + 1 has become and the states of all layers, warped to frame i.
                x = torch.cat((self.feedback(restored[-1]), *states), dim=1)
                x, *states = to_previous[i](x).chunk(1 + len(states), dim=1)
            context = self._neighbours(i, encoded, to_next, to_previous)
            frame, *states = maybe_checkpoint(
                self.step, frames[i], x, states, *context, with_cp=with_cp
            )
            restored.append(frame)
        return restored[::-1]

    def step(
        self,
        frame: Tensor,
        x: Tensor,
        states: Sequence[Tensor],
        values: Sequence[Tensor],
        counts: Sequence[int],
    ) -> tuple[Tensor, ...]:
        """Restore one frame.

        Args:
            frame (Tensor): (n, frame_channels, h, w).
            x (Tensor): What the frame after it has become, or the encoder's last output: (n, c, h,
                w), aligned to the frame.
            states (Sequence[Tensor]): States of the layers, aligned too.
            values (Sequence[Tensor]): As of :meth:`.LocalAttention.forward`; none for one layer.
            counts (Sequence[int]): Likewise.

        Returns:
            tuple[Tensor, ...]: The restored frame, (n, frame_channels, scale * h, scale * w), and
            the new state of each layer.
        """
        new_states = [self.grus[0](x, states[0])]
        x = self.blocks[0](new_states[0])
        if self.attention is not None:
            context = self.attention(x, values, counts)
        for i, fusion in enumerate(self.fusions, start=1):
            fused = _lrelu(fusion(torch.cat((x, context), dim=1)))
            new_states.append(self.grus[i](fused, states[i]))
            x = self.blocks[i](new_states[i]) + x
        if self.scale > 1:
            frame = F.interpolate(
                frame, scale_factor=self.scale, mode='bilinear', align_corners=False
            )
        return (frame + self.output(x), *new_states)

    def _neighbours(
        self,
        i: int,
        encoded: Sequence[Tensor],
        to_next: Sequence[FlowSampler],
        to_previous: Sequence[FlowSampler],
    ) -> tuple[list[Tensor], list[int]]:
        """Align the encoder's outputs around frame i to it, for the attention.

        Frames farther than one away are warped step by step along the flows between. For a frame
        beyond an end of the clip, frame i stands in.
        """
        if self.attention is None:
            return [], []
        last = len(encoded) - 1
        values = [encoded[i]]
        for distance in range(1, self.attention_radius + 1):
            if i - distance >= 0:
                value = encoded[i - distance]
                for sampler in to_next[i - distance : i]:
                    value = sampler(value)
                values.append(value)
            if i + distance <= last:
                value = encoded[i + distance]
                for sampler in to_previous[i : i + distance][::-1]:
                    value = sampler(value)
                values.append(value)
        missing = 2 * self.attention_radius + 1 - len(values)
        return values, [1 + missing] + [1] * (len(values) - 1)


@MODELS.register_module()
class S2SVRNet(BaseModule):
    """Sequence-to-sequence network for video restoration.

    Paper: Unsupervised Flow-Aligned Sequence-to-Sequence Learning for Video Restoration,
    ICML 2022. An encoder of convolutional GRUs reads the clip; a decoder restores it from the
    last frame to the first, each layer's state handed over by the encoder, with attention over
    the encoder's outputs of neighbouring frames. Every state is warped from frame to frame along
    optical flow. What the paper does not have is in :class:`.S2SVRPlusNet`.

    Args:
        mid_channels (int): Channels of the hidden states. Defaults to 64.
        num_blocks (int): Residual blocks of each layer. Defaults to 13.
        num_layers (int): Layers of the encoder and of the decoder. Defaults to 3.
        scale (int): Size of the output over that of the input: 1, 2 or 4. Defaults to 4.
        attention_radius (int): How many frames on each side the attention sees. Defaults to 1.
        flow_estimator (dict | nn.Module, optional): Config of any module with ``forward(ref, supp)
            -> flow``, or the module. Defaults to ``dict(type='PWCLite')``.
        flow_input_size (tuple[int, int], optional): Size (h, w) to which frames are resized for
            the flow; the official network takes (256, 256). None for their own size, which the
            estimator pads as it needs. Defaults to None.
        frame_channels (int): Channels of the frames as encoder and decoder see them; 3 for RGB.
            Defaults to 3.
        with_cp (bool): Whether to save memory in training by computing each step of the
            recurrence again in the backward pass. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ConfigError: If a size is not possible; the message says which.
    """

    input_requirements = InputRequirements(side=1, multiple=1, frames=1)

    def __init__(
        self,
        mid_channels: int = 64,
        num_blocks: int = 13,
        num_layers: int = 3,
        scale: int = 4,
        *,
        attention_radius: int = 1,
        flow_estimator: dict | nn.Module | None = None,
        flow_input_size: tuple[int, int] | None = None,
        frame_channels: int = 3,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if scale not in (1, 2, 4):
            raise ConfigError(f'scale must be 1, 2 or 4, but got {scale}.')
        for name, value, least in (
            ('mid_channels', mid_channels, 2),
            ('num_blocks', num_blocks, 0),
            ('num_layers', num_layers, 1),
            ('attention_radius', attention_radius, 0),
        ):
            if value < least:
                raise ConfigError(f'{name} must be at least {least}, but got {value}.')
        if isinstance(flow_input_size, int):
            raise ConfigError(
                f'flow_input_size must be (h, w) or None, but got {flow_input_size}; S2SVRPlusNet '
                'takes a factor.'
            )
        self.scale = scale
        self.with_cp = with_cp
        self._make_list: Callable[[], Any] = list
        # propagation and reconstruction
        self.encoder = Encoder(mid_channels, num_blocks, num_layers, frame_channels)
        self.decoder = Decoder(
            mid_channels, num_blocks, num_layers, scale, attention_radius, frame_channels
        )
        # alignment
        self.flow_input_size: tuple[int, int] | int | None = flow_input_size
        if flow_estimator is None:
            flow_estimator = dict(type='PWCLite')
        self.flow_estimator = (
            flow_estimator
            if isinstance(flow_estimator, nn.Module)
            else MODELS.build(flow_estimator)
        )
        if scale == 1:
            # Enlarging networks learn without it, and in the demo's minutes they end higher.
            init_zero_mean_kernels(self.encoder.forward_layer.gru.input_gates)
            init_zero_mean_kernels(self.encoder.backward_layer.gru.input_gates)
        self.to(memory_format=torch.channels_last)

    def keep_states_in(self, make_list: Callable[[], Any]) -> None:
        """Choose what holds a clip's hidden states, which take most of the memory.

        Args:
            make_list (Callable): ``list``, or what makes something like a list, with ``append``,
                of tensors; its slices may be views.
        """
        self._make_list = make_list

    def compute_flow(self, lqs: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the flows between neighbouring frames.

        Args:
            lqs (Tensor): Frames, (n, t, 3, h, w), RGB in [0, 1].

        Returns:
            tuple[Tensor, Tensor]: ``flows_forward`` and ``flows_backward``, each (n, t - 1, 2, h,
            w), pixels of the frames, x first. ``flows_forward[:, i]`` lives on frame i + 1 and
            samples frame i; ``flows_backward[:, i]`` lives on frame i and samples frame i + 1.

        Raises:
            ValueError: If ``lqs`` is no such clip.
        """
        _check_frames(lqs)
        n, t, _, h, w = lqs.shape
        if t == 1:
            none = lqs.new_zeros(n, 0, 2, h, w)
            return none, none
        flows = neighbour_flows(self.flow_estimator, lqs.unbind(1), self.flow_input_size)
        return torch.stack(flows[0], 1), torch.stack(flows[1], 1)

    def forward(self, lqs: Tensor, flows: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Restore a clip.

        Args:
            lqs (Tensor): Frames, (n, t, 3, h, w) with any t, h, w >= 1, RGB in [0, 1].
            flows (tuple[Tensor, Tensor], optional): What :meth:`compute_flow` returns, if it is
                known already. Defaults to None.

        Returns:
            Tensor: Restored frames, (n, t, 3, scale * h, scale * w), float.

        Raises:
            ValueError: If ``lqs`` is no such clip.
        """
        flows = self.compute_flow(lqs) if flows is None else flows
        frames = [x.contiguous(memory_format=torch.channels_last) for x in lqs.unbind(1)]
        to_next, to_previous = ([FlowSampler(x) for x in flow.unbind(1)] for flow in flows)
        encoded, states = self.encoder(frames, to_next, to_previous, self.with_cp, self._make_list)
        restored = self.decoder(frames, encoded, states, to_next, to_previous, self.with_cp)
        return torch.stack(restored, dim=1)


def _check_frames(lqs: Tensor) -> None:
    if lqs.ndim != 5 or lqs.shape[2] != 3 or 0 in lqs.shape or not lqs.is_floating_point():
        raise ValueError(
            'S2SVRNet needs a clip of float RGB frames, (n, t, 3, h, w) with nothing empty, but '
            f'got {tuple(lqs.shape)} of {lqs.dtype}.'
        )
