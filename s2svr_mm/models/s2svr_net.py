# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The S2SVR network: a sequence of frames in, the restored sequence out."""

import functools
from collections.abc import Callable, Sequence

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from ..ops.lucas_kanade import refine_flow
from ..ops.pixel_unshuffle import unshuffle, unshuffle_flow
from ..ops.warp import FlowSampler
from .conv_gru import (
    ConvGRU,
    ResConvGRU,
    conv_for_lrelu,
    init_zero_mean_kernels,
    maybe_checkpoint,
    residual_blocks,
)
from .detail_branch import DetailBranch
from .flow.estimators import neighbour_flows
from .local_attention import LocalAttention


def _lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1, inplace=True)


class Encoder(BaseModule):
    """Stack of ResConvGRUs; the first one runs both ways.

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
    ) -> tuple[Sequence[Tensor], list[Tensor]]:
        """Encodes a clip.

        Args:
            frames (Sequence[Tensor]): t frames, (n, frame_channels, h, w).
            to_next (Sequence[FlowSampler]): t - 1; the i-th takes frame i to frame i + 1.
            to_previous (Sequence[FlowSampler]): t - 1; the i-th takes frame i + 1 to frame i.

        Returns:
            tuple[Sequence[Tensor], list[Tensor]]: Outputs of the top layer, t of (n, c, h, w), and
            the state that each layer leaves to the decoder.
        """
        states = self.forward_layer(frames, to_next)
        handed = [states[-1]]
        outputs = self.backward_layer(frames[::-1], to_previous[::-1], states[::-1])[::-1]
        del states
        for layer in self.layers:
            outputs = layer(outputs, to_next)
            handed.append(outputs[-1])
        return outputs, handed


class OutputHead(BaseModule):
    """Features to a residual image of the restored size.

    Args:
        channels (int): Channels of the features.
        scale (int): 1, 2 or 4.
        frame_channels (int): Channels of the residual. Defaults to 3.
    """

    def __init__(self, channels: int, scale: int, frame_channels: int = 3) -> None:
        super().__init__()
        widths = (channels, channels) if scale == 1 else (channels * 4, channels * 2)
        widths = (*widths, frame_channels * scale**2)
        self.convs = nn.ModuleList(
            conv_for_lrelu(i, o) for i, o in zip((channels, *widths[:-1]), widths, strict=True)
        )
        # The residual starts near zero: training begins at the enlarged input.
        self.convs[-1].weight.data.mul_(0.01)
        self.steps = {1: 0, 2: 1, 4: 2}[scale]

    def forward(self, x: Tensor) -> Tensor:
        """Makes the residual.

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
    """A restored frame to the features that the decoder reads at its next step.

    Args:
        channels (int): Channels of the features.
        scale (int): 1, 2 or 4: how much smaller the features are.
        frame_channels (int): Channels of the frame. Defaults to 3.
    """

    def __init__(self, channels: int, scale: int, frame_channels: int = 3) -> None:
        super().__init__()
        shrinking = {1: (1, 1), 2: (2, 1), 4: (2, 2)}[scale]
        kernels = [5 if stride == 2 else 3 for stride in shrinking]
        self.convs = nn.ModuleList(
            (
                conv_for_lrelu(frame_channels, channels // 2),
                conv_for_lrelu(channels // 2, channels, kernels[0], shrinking[0]),
                conv_for_lrelu(channels, channels * 2, kernels[1], shrinking[1]),
                conv_for_lrelu(channels * 2, channels),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Reads a frame.

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
    """Restores the frames from the last to the first, each from the one after it.

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
        self.grus = nn.ModuleList(ConvGRU(mid_channels, mid_channels) for _ in range(num_layers))
        self.blocks = nn.ModuleList(
            residual_blocks(mid_channels, num_blocks) for _ in range(num_layers)
        )
        self.fusions = nn.ModuleList(
            conv_for_lrelu(2 * mid_channels, mid_channels) for _ in range(num_layers - 1)
        )
        # Only the layers above the first look at the context.
        self.attention = LocalAttention(mid_channels) if num_layers > 1 else None
        self.output = OutputHead(mid_channels, scale, frame_channels)
        self.feedback = FeedbackHead(mid_channels, scale, frame_channels)
        self.with_cp = False

    def forward(
        self,
        frames: Sequence[Tensor],
        encoded: Sequence[Tensor],
        states: Sequence[Tensor],
        to_next: Sequence[FlowSampler],
        to_previous: Sequence[FlowSampler],
        details: Callable[[int], Tensor] | None = None,
    ) -> list[Tensor]:
        """Restores a clip.

        Args:
            frames (Sequence[Tensor]): t frames, (n, frame_channels, h, w).
            encoded (Sequence[Tensor]): Outputs of the encoder, t of (n, c, h, w).
            states (Sequence[Tensor]): The encoder's state for each layer, (n, c, h, w).
            to_next (Sequence[FlowSampler]): As the encoder's.
            to_previous (Sequence[FlowSampler]): As the encoder's.
            details (Callable, optional): Number of a frame to what is added to it beside the
                residual, (n, frame_channels, h, w). Defaults to None.

        Returns:
            list[Tensor]: t restored frames, (n, frame_channels, scale * h, scale * w).
        """
        channels = encoded[0].shape[1]
        # What goes from one frame to the one before: the input, then the states of the layers.
        carried = torch.cat((encoded[-1], *states), dim=1)
        restored: list[Tensor] = []
        for i in reversed(range(len(frames))):
            if i < len(frames) - 1:
                carried = to_previous[i](torch.cat((self.feedback(restored[-1]), carried), dim=1))
            values, counts = [], []
            if self.attention is not None:
                values, counts = self._neighbours(i, encoded, to_next, to_previous)
            detail = None if details is None else details(i)
            first, *rest = carried.split(channels, dim=1)
            output, *rest = maybe_checkpoint(
                self._step, frames[i], first, rest, values, counts, detail, with_cp=self.with_cp
            )
            restored.append(output)
            carried = torch.cat(rest, dim=1)
        return restored[::-1]

    def _step(
        self,
        frame: Tensor,
        x: Tensor,
        states: Sequence[Tensor],
        values: Sequence[Tensor],
        counts: Sequence[int],
        detail: Tensor | None,
    ) -> tuple[Tensor, ...]:
        """Restores one frame; returns it and the new states of the layers."""
        new_states = []
        context = None
        for layer, (gru, blocks, state) in enumerate(
            zip(self.grus, self.blocks, states, strict=True)
        ):
            skip = 0
            if layer > 0:
                if context is None:
                    context = self.attention(x, values, counts)
                skip = x
                x = _lrelu(self.fusions[layer - 1](torch.cat((x, context), dim=1)))
            state = gru(state, gru.input_gates(x))
            new_states.append(state)
            x = blocks(state) + skip
        if self.scale > 1:
            frame = F.interpolate(
                frame, scale_factor=self.scale, mode='bilinear', align_corners=False
            )
        if detail is not None:
            frame = frame + detail
        return (frame + self.output(x), *new_states)

    def _neighbours(
        self,
        i: int,
        encoded: Sequence[Tensor],
        to_next: Sequence[FlowSampler],
        to_previous: Sequence[FlowSampler],
    ) -> tuple[list[Tensor], list[int]]:
        """Aligns the encoder's outputs around frame i to it.

        Frames farther than one away come step by step along the flows between. For a frame
        beyond an end of the clip, frame i stands in.
        """
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
    the encoder's outputs of neighbouring frames. Every state moves between frames along optical
    flow.

    Args:
        mid_channels (int): Channels of the hidden states. Defaults to 64.
        num_blocks (int): Residual blocks of each layer. Defaults to 13.
        num_layers (int): Layers of the encoder and of the decoder. Defaults to 3.
        scale (int): Size of the output over that of the input: 1, 2 or 4. Defaults to 4.
        attention_radius (int): How many frames on each side the attention sees. Defaults to 1.
        flow_estimator (dict | nn.Module): Config of any module with ``forward(ref, supp) ->
            flow``, or the module. Defaults to ``dict(type='PWCLite')``.
        flow_input_size (tuple[int, int] | int, optional): Size (h, w) to which frames are resized
            for the flow; (256, 256) is the official way. Or how many times larger than they are:
            PWC-Lite finds flow at a quarter of the size it sees, which is coarse for the small
            frames of super-resolution. None for their own size, which the estimator pads as it
            needs. Defaults to None.
        unshuffle (int): Side of the squares of pixels that become one pixel of more channels, in
            which the network works: 1, as in the paper, or 2 or 4 at scale 1, for about a quarter
            or a sixteenth of the cost. Defaults to 1.
        refine_flow (bool): Whether a step of :func:`.refine_flow` follows the estimator, which the
            paper does not have. Defaults to False.
        detail_branch (dict, optional): At scale 1, arguments of a :class:`.DetailBranch` beside the
            recurrence, which the paper does not have: ``num_blocks``, ``aligned``, ``in_place``.
            None for no such branch. Defaults to None.
        with_cp (bool): Whether to save memory in training by computing each step of the
            recurrence again in the backward pass. Defaults to False.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If a size is not possible; the message says which.
    """

    def __init__(
        self,
        mid_channels: int = 64,
        num_blocks: int = 13,
        num_layers: int = 3,
        scale: int = 4,
        attention_radius: int = 1,
        flow_estimator: dict | nn.Module | None = None,
        flow_input_size: tuple[int, int] | int | None = None,
        unshuffle: int = 1,
        refine_flow: bool = False,
        detail_branch: dict | None = None,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if scale not in (1, 2, 4):
            raise ValueError(f'scale must be 1, 2 or 4, but got {scale}.')
        if unshuffle not in (1, 2, 4) or (unshuffle > 1 and scale > 1):
            raise ValueError(
                'unshuffle must be 1, or 2 or 4 with a scale of 1, but got '
                f'unshuffle={unshuffle} and scale={scale}.'
            )
        if detail_branch is not None and scale > 1:
            raise ValueError(f'detail_branch needs a scale of 1, but got scale={scale}.')
        for name, value, least in (
            ('mid_channels', mid_channels, 2),
            ('num_blocks', num_blocks, 0),
            ('num_layers', num_layers, 1),
            ('attention_radius', attention_radius, 0),
            ('flow_input_size', flow_input_size if isinstance(flow_input_size, int) else 1, 1),
        ):
            if value < least:
                raise ValueError(f'{name} must be at least {least}, but got {value}.')
        self.scale = scale
        self.flow_input_size = flow_input_size
        self.unshuffle = unshuffle
        self.refine_flow = refine_flow
        channels = 3 * unshuffle**2
        self.encoder = Encoder(mid_channels, num_blocks, num_layers, channels)
        self.decoder = Decoder(
            mid_channels, num_blocks, num_layers, scale, attention_radius, channels
        )
        self.details = (
            None
            if detail_branch is None
            else DetailBranch(mid_channels, unshuffle=unshuffle, **detail_branch)
        )
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
            init_zero_mean_kernels(self.decoder.feedback.convs[0])
        for module in self.modules():
            if isinstance(module, ResConvGRU | Decoder):
                module.with_cp = with_cp
        self.to(memory_format=torch.channels_last)

    def keep_states_in(self, make_list: Callable[[], Sequence[Tensor]]) -> None:
        """Chooses what holds a clip's hidden states, which is most of the memory it takes.

        Args:
            make_list (Callable): ``list``, or what makes something like a list, with ``append``,
                of tensors; its slices may be views.
        """
        for module in self.modules():
            if isinstance(module, ResConvGRU):
                module.make_list = make_list

    def compute_flow(self, lqs: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the flows between neighbouring frames.

        Args:
            lqs (Tensor): Frames, (n, t, 3, h, w), RGB in [0, 1].

        Returns:
            tuple[Tensor, Tensor]: ``flows_forward`` and ``flows_backward``, each (n, t - 1, 2, h,
            w), pixels of the frames, x first. ``flows_forward[:, i]`` lives on frame i + 1 and
            samples frame i; ``flows_backward[:, i]`` lives on frame i and samples frame i + 1.
        """
        _check_frames(lqs)
        n, t, _, h, w = lqs.shape
        if t == 1:
            none = lqs.new_zeros(n, 0, 2, h, w)
            return none, none
        frames = lqs.unbind(1)
        flows = neighbour_flows(self.flow_estimator, frames, self.flow_input_size)
        if self.refine_flow:
            pairs = frames[1:], frames[:-1]
            flows = (
                list(map(refine_flow, *pairs, flows[0])),
                list(map(refine_flow, *pairs[::-1], flows[1])),
            )
        return torch.stack(flows[0], 1), torch.stack(flows[1], 1)

    def forward(self, lqs: Tensor, flows: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Restores a clip.

        Args:
            lqs (Tensor): Frames, (n, t, 3, h, w) with any t, h, w >= 1, RGB in [0, 1].
            flows (tuple[Tensor, Tensor], optional): What :meth:`compute_flow` returns, if it is
                known already. Defaults to None.

        Returns:
            Tensor: Restored frames, (n, t, 3, scale * h, scale * w), float.

        Raises:
            ValueError: If ``lqs`` is no such clip.
        """
        flows_forward, flows_backward = self.compute_flow(lqs) if flows is None else flows
        frames = lqs.unbind(1)
        directions = flows_forward.unbind(1), flows_backward.unbind(1)
        details = None
        if self.details is not None:
            details = functools.partial(self._details, frames, *directions)
        if self.unshuffle > 1:
            frames = [unshuffle(frame, self.unshuffle) for frame in frames]
            directions = [
                [unshuffle_flow(flow, self.unshuffle) for flow in flows] for flows in directions
            ]
        frames = [frame.contiguous(memory_format=torch.channels_last) for frame in frames]
        to_next, to_previous = ([FlowSampler(flow) for flow in flows] for flows in directions)
        encoded, states = self.encoder(frames, to_next, to_previous)
        restored = self.decoder(frames, encoded, states, to_next, to_previous, details)
        restored = torch.stack(restored, dim=1)
        if self.unshuffle > 1:
            restored = F.pixel_shuffle(restored, self.unshuffle)
            restored = restored[..., : lqs.shape[-2], : lqs.shape[-1]]
        return restored

    def _details(
        self,
        frames: Sequence[Tensor],
        flows_forward: Sequence[Tensor],
        flows_backward: Sequence[Tensor],
        i: int,
    ) -> Tensor:
        """Residual of frame i by the branch beside the recurrence."""
        return maybe_checkpoint(
            self.details, i, frames, flows_forward, flows_backward, with_cp=self.decoder.with_cp
        )


def _check_frames(lqs: Tensor) -> None:
    if lqs.ndim != 5 or lqs.shape[2] != 3 or 0 in lqs.shape or not lqs.is_floating_point():
        raise ValueError(
            'S2SVRNet needs a clip of float RGB frames, (n, t, 3, h, w) with nothing empty, but '
            f'got {tuple(lqs.shape)} of {lqs.dtype}.'
        )
