# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Heads of the decoder that do all their work at the size of the input."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from .conv_gru import conv_for_lrelu


class SlimOutputHead(BaseModule):
    """Two convolutions and a pixel shuffle from features to the residual of a restored frame.

    At x4 and 32 channels it takes a third of the multiply-adds of :class:`.OutputHead`.

    Args:
        channels (int): Channels of the features.
        scale (int): 1, 2 or 4.
        frame_channels (int): Channels of the residual. Defaults to 3.
    """

    def __init__(self, channels: int, scale: int, frame_channels: int = 3) -> None:
        super().__init__()
        self.scale = scale
        last = conv_for_lrelu(2 * channels, frame_channels * scale**2)
        # The residual starts near zero: training begins at the enlarged input.
        last.weight.data.mul_(0.01)
        self.convs = torch.nn.ModuleList([conv_for_lrelu(channels, 2 * channels), last])

    def forward(self, x: Tensor) -> Tensor:
        """Compute the residual.

        Args:
            x (Tensor): (n, channels, h, w).

        Returns:
            Tensor: (n, frame_channels, scale * h, scale * w).
        """
        x = F.leaky_relu(self.convs[0](x), 0.1, inplace=True)
        return F.pixel_shuffle(self.convs[1](x), self.scale)


class SlimFeedbackHead(BaseModule):
    """A convolution from a restored frame, unshuffled, to what the decoder reads next.

    At x4 and 32 channels it takes a ninth of the multiply-adds of :class:`.FeedbackHead`, whose
    first convolutions run at the size of the output.

    Args:
        channels (int): Channels of the features.
        scale (int): 1, 2 or 4: how much smaller the features are.
        frame_channels (int): Channels of the frame. Defaults to 3.
    """

    def __init__(self, channels: int, scale: int, frame_channels: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.conv = conv_for_lrelu(frame_channels * scale**2, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Extract features.

        Args:
            x (Tensor): (n, frame_channels, scale * h, scale * w).

        Returns:
            Tensor: (n, channels, h, w).
        """
        x = F.pixel_unshuffle(x, self.scale).contiguous(memory_format=torch.channels_last)
        return F.leaky_relu(self.conv(x), 0.1, inplace=True)
