# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The steps of mmagic's BasicVSR, each a graph of tensors that ONNX can hold.

Shapes are those of :mod:`.graphs`: frames (1, 3, h, w), flows (1, 2, h, w), states (1, c, h', w').
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmagic.models.editors import BasicVSRNet
from torch import Tensor, nn

from ..ops.pixel_unshuffle import shuffle, unshuffle
from .graphs import Description, Graph, WarpStep
from .spynet import spynet_flow


def describe_basicvsr(network: BasicVSRNet) -> Description:
    """Describe a BasicVSR.

    Args:
        network (BasicVSRNet): mmagic's, ``BasicVSRX2Net`` or ``BasicVSRSameSizeNet``.

    Returns:
        Description: What a loop over its graphs needs to know.
    """
    return Description(
        kind='basicvsr',
        scale=getattr(network, 'scale', 4),
        unshuffle=getattr(network, 'unshuffle', 1),
        channels=network.mid_channels,
    )


def graphs_of_basicvsr(network: BasicVSRNet) -> dict[str, Graph]:
    """Split a BasicVSR into the steps of its recurrence.

    Args:
        network (BasicVSRNet): mmagic's, ``BasicVSRX2Net`` or ``BasicVSRSameSizeNet``.

    Returns:
        dict[str, Graph]: ``flow``, ``backward`` and ``forward``, in this order.
    """
    description = describe_basicvsr(network)
    frame, flow, state = (1, 3, False), (1, 2, False), (1, description.channels, True)
    step = {'frame': frame, 'hidden': state, 'flow': flow}
    return {
        'flow': Graph(
            SPyNetStep(network), {'first': frame, 'second': frame}, ('forward', 'backward')
        ),
        'backward': Graph(BackwardStep(network, description), step, ('state',)),
        'forward': Graph(
            ForwardStep(network, description), {**step, 'other': state}, ('state', 'restored')
        ),
    }


class SPyNetStep(nn.Module):
    """Flow between two frames, both ways."""

    def __init__(self, network: BasicVSRNet) -> None:
        super().__init__()
        self.spynet = network.spynet

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return the flow that lives on ``second``, and the one that lives on ``first``."""
        ref, supp = torch.cat((second, first)), torch.cat((first, second))
        forward, backward = spynet_flow(self.spynet, ref, supp).split(1)
        return forward, backward


class BackwardStep(nn.Module):
    """One step of the backward propagation."""

    def __init__(self, network: BasicVSRNet, description: Description) -> None:
        super().__init__()
        self.blocks = network.backward_resblocks
        self.warp = WarpStep(description.unshuffle)

    def forward(self, frame: Tensor, hidden: Tensor, flow: Tensor) -> Tensor:
        """Return the backward state of the frame."""
        aligned = self.warp(hidden, flow)
        return self.blocks(torch.cat((unshuffle(frame, self.warp.factor), aligned), dim=1))


class ForwardStep(nn.Module):
    """One step of the forward propagation, and the upsampling."""

    def __init__(self, network: BasicVSRNet, description: Description) -> None:
        super().__init__()
        self.network: Any = network
        self.warp = WarpStep(description.unshuffle)
        self.scale = description.scale

    def forward(
        self, frame: Tensor, hidden: Tensor, flow: Tensor, other: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the forward state of the frame, and the frame restored from both states."""
        net, factor, (height, width) = self.network, self.warp.factor, frame.shape[-2:]
        small = unshuffle(frame, factor)
        state = net.forward_resblocks(torch.cat((small, self.warp(hidden, flow)), dim=1))
        x = torch.cat((other, state), dim=1)
        for layer in (net.fusion, net.upsample1, net.upsample2, net.conv_hr):
            x = F.leaky_relu(layer(x), 0.1)
        restored = shuffle(net.conv_last(x) + net.img_upsample(small), factor)
        return state, restored[..., : self.scale * height, : self.scale * width]
