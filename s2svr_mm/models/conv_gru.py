# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Convolutional gated recurrent units that carry a hidden state along the flow."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F
from mmagic.models.archs import ResidualBlockNoBN
from mmagic.models.utils import make_layer
from mmengine.model import BaseModule, kaiming_init, normal_init
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..ops.chunking import in_chunks
from ..ops.warp import FlowSampler


class ResidualBlock(ResidualBlockNoBN):
    """mmagic's residual block without its multiplication by one, added in place."""

    def forward(self, x: Tensor) -> Tensor:
        """Add conv-ReLU-conv of the input to the input.

        Args:
            x (Tensor): (n, c, h, w).

        Returns:
            Tensor: (n, c, h, w).
        """
        # In place: no convolution keeps its output for the backward pass.
        return self.conv2(F.relu(self.conv1(x), inplace=True)).add_(x)


def conv_for_lrelu(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1
) -> nn.Conv2d:
    """Make a convolution that keeps the variance of its input through a LeakyReLU.

    torch's own initialization divides the standard deviation by 1.7 at each layer. From a frame
    to its restoration there are enough layers for the image to vanish beside the biases, and
    training does not progress for hundreds of steps.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        kernel (int): Odd size of the kernel. Defaults to 3.
        stride (int): Stride. Defaults to 1.

    Returns:
        nn.Conv2d: The convolution, padded to keep the size at stride 1.
    """
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2)
    kaiming_init(conv, a=0.1, mode='fan_in', nonlinearity='leaky_relu')
    return conv


def init_zero_mean_kernels(conv: nn.Conv2d) -> None:
    """Re-initialize with kernels that sum to zero per colour: they respond to detail alone.

    The detail of a frame is a few hundredths of its brightness, and would be lost beside it in the
    hidden states: for hundreds of steps, a network that restores at the size of its input learns
    nothing (one that enlarges has more to gain, and does). With kernels that ignore brightness and
    respond to detail with about unit variance, the first steps already sharpen. These are only
    initial values: training is free to read brightness later.

    Args:
        conv (nn.Conv2d): A convolution of frames in [0, 1], which may be unshuffled.
    """
    with torch.no_grad():
        nn.init.normal_(conv.weight, std=1.5 * math.sqrt(3 / conv.in_channels))
        colours = conv.weight.unflatten(1, (3, -1))
        colours -= colours.mean((2, 3, 4), keepdim=True)


def residual_blocks(channels: int, num_blocks: int) -> nn.Sequential:
    """Stack residual blocks.

    Args:
        channels (int): Channels in and out.
        num_blocks (int): How many.

    Returns:
        nn.Sequential: The blocks.
    """
    return make_layer(ResidualBlock, num_blocks, mid_channels=channels)


class ConvGRU(BaseModule):
    """Convolutional GRU; the convolution of its input covers all gates and needs no recurrence.

    z, r = sigmoid(conv([h, x])), q = tanh(conv([r * h, x])), h' = (1 - z) * h + z * q, with 3x3
    convolutions. A convolution of [h, x] is the sum of one of h and one of x: the second needs no
    recurrence, so ``input_gates`` serves the three gates of many frames in one call.

    Args:
        in_channels (int): Channels of the input x.
        mid_channels (int): Channels of the hidden state h.
    """

    def __init__(self, in_channels: int, mid_channels: int) -> None:
        super().__init__()
        self.input_gates = nn.Conv2d(in_channels, 3 * mid_channels, 3, padding=1)
        self.hidden_gates = nn.Conv2d(mid_channels, 2 * mid_channels, 3, padding=1, bias=False)
        self.candidate = nn.Conv2d(mid_channels, mid_channels, 3, padding=1, bias=False)
        # Together they are one convolution of [h, x], which keeps the variance of its input.
        std = 1 / math.sqrt(9 * (in_channels + mid_channels))
        for conv in (self.input_gates, self.hidden_gates, self.candidate):
            normal_init(conv, std=std)

    def forward(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        """Make one step.

        Args:
            x (Tensor): Input, (n, in_channels, h, w).
            hidden (Tensor, optional): Hidden state, (n, c, h, w); None for zeros.

        Returns:
            Tensor: Next hidden state, (n, c, h, w).
        """
        return self.step(self.input_gates(x), hidden)

    def step(self, gates: Tensor, hidden: Tensor | None) -> Tensor:
        """Make one step with the part of the gates that needs no recurrence computed already.

        Args:
            gates (Tensor): Output of ``input_gates`` for the input, (n, 3c, h, w).
            hidden (Tensor, optional): As in :meth:`forward`.

        Returns:
            Tensor: Next hidden state, (n, c, h, w).
        """
        if hidden is None:
            update, _, candidate = gates.chunk(3, dim=1)
            return torch.sigmoid(update) * torch.tanh(candidate)
        channels = self.candidate.out_channels
        update_and_reset, candidate = gates.split((2 * channels, channels), dim=1)
        # In place, as in ResidualBlock.
        update, reset = self.hidden_gates(hidden).add_(update_and_reset).sigmoid_().chunk(2, dim=1)
        candidate = self.candidate(reset * hidden).add_(candidate).tanh_()
        return torch.addcmul(hidden, update, candidate - hidden)


class ResConvGRU(BaseModule):
    """GRU with residual blocks inside its recurrence, run over a whole clip.

    The hidden state is warped to each next frame. With ``fuse``, another state of the same frame
    is merged between GRU and blocks (the backward pass of the encoder's first layer). With
    ``skip``, the input is added to the output, but not to the state carried to the next frame
    (the encoder's layers above the first).

    Args:
        in_channels (int): Channels of the input.
        mid_channels (int): Channels of the hidden state.
        num_blocks (int): Number of residual blocks.
        fuse (bool): Whether to merge another state. Defaults to False.
        skip (bool): Whether to add the input to the output. Defaults to False.
    """

    def __init__(
        self,
        in_channels: int,
        mid_channels: int,
        num_blocks: int,
        fuse: bool = False,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        self.gru = ConvGRU(in_channels, mid_channels)
        self.fusion = conv_for_lrelu(2 * mid_channels, mid_channels) if fuse else None
        self.blocks = residual_blocks(mid_channels, num_blocks)

    def forward(
        self,
        frames: Sequence[Tensor],
        samplers: Sequence[FlowSampler],
        others: Sequence[Tensor] | None = None,
        *,
        with_cp: bool = False,
        make_list: Callable[[], Any] = list,
    ) -> Sequence[Tensor]:
        """Run over a clip, in the order given.

        Args:
            frames (Sequence[Tensor]): t inputs of shape (n, in_channels, h, w).
            samplers (Sequence[FlowSampler]): t - 1 of them; the i-th takes a state of frame i
                to frame i + 1 of ``frames``.
            others (Sequence[Tensor], optional): States to merge, t of shape (n, c, h, w). Defaults
                to None.
            with_cp (bool): Whether each step is computed again in the backward pass. Defaults to
                False.
            make_list (Callable): Makes the list that keeps the outputs. Defaults to ``list``.

        Returns:
            Sequence[Tensor]: t outputs, (n, c, h, w): the hidden states, with ``skip`` the sums of
            input and hidden state.
        """
        outputs = make_list()
        hidden: Tensor | None = None
        gates = in_chunks(self.gru.input_gates, frames)
        for i in range(len(frames)):
            if hidden is not None:
                hidden = samplers[i - 1](hidden)
            other = None if others is None else others[i]
            # No name holds the gates, or a whole chunk would outlive its use.
            hidden = maybe_checkpoint(self.step, next(gates), hidden, other, with_cp=with_cp)
            outputs.append(frames[i] + hidden if self.skip else hidden)
        return outputs

    def step(self, gates: Tensor, hidden: Tensor | None, other: Tensor | None) -> Tensor:
        """Make one step with the part of the gates that needs no recurrence computed already.

        Args:
            gates (Tensor): As of :meth:`ConvGRU.step`.
            hidden (Tensor, optional): Hidden state, aligned to the frame, (n, c, h, w).
            other (Tensor, optional): State to merge, (n, c, h, w).

        Returns:
            Tensor: Next hidden state, (n, c, h, w).
        """
        hidden = self.gru.step(gates, hidden)
        if self.fusion is not None and other is not None:
            hidden = F.leaky_relu(self.fusion(torch.cat((hidden, other), 1)), 0.1, inplace=True)
        return self.blocks(hidden)


def maybe_checkpoint(function: Callable[..., Any], *args: Any, with_cp: bool) -> Any:
    """Call a function, with gradient checkpointing if asked for and gradients are enabled.

    Args:
        function (Callable): The function.
        *args: Its arguments.
        with_cp (bool): Whether to keep only the arguments and to compute the rest again in the
            backward pass.

    Returns:
        Any: What ``function`` returns.
    """
    if with_cp and torch.is_grad_enabled():
        return checkpoint(function, *args, use_reentrant=False)
    return function(*args)
