# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The steps of mmagic's BasicVSR, each a graph of tensors that ONNX can hold.

As mmagic computes them, sizes in Python would become constants of the graph; here they are those of
the frames that a graph is given.
"""

from typing import Any

import torch
import torch.nn.functional as F
from mmagic.models.editors import BasicVSRNet
from torch import Tensor, nn

from ..ops.pixel_unshuffle import unshuffle
from ..ops.warp import warp
from .graphs import Description, Graph, WarpStep

# SPyNet halves its input five times.
_MULTIPLE = 32


def describe_basicvsr(network: BasicVSRNet) -> Description:
    """Describe a BasicVSR.

    Args:
        network (BasicVSRNet): The network, or a ``BasicVSRSameSizeNet``.
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
        network (BasicVSRNet): The network, or a ``BasicVSRSameSizeNet``.

    Returns:
        dict[str, Graph]: ``flow``, ``backward`` and ``forward``, in this order.
    """
    known = describe_basicvsr(network)
    frame, flow, state = (1, 3, False), (1, 2, False), (1, known.channels, True)
    step = {'frame': frame, 'hidden': state, 'flow': flow}
    return {
        'flow': Graph(
            SPyNetStep(network), {'first': frame, 'second': frame}, ('forward', 'backward')
        ),
        'backward': Graph(BackwardStep(network, known), step, ('state',)),
        'forward': Graph(
            ForwardStep(network, known), {**step, 'other': state}, ('state', 'restored')
        ),
    }


class SPyNetStep(nn.Module):
    """Flow between two frames, both ways, by mmagic's SPyNet (Ranjan and Black, CVPR 2017)."""

    def __init__(self, network: BasicVSRNet) -> None:
        super().__init__()
        self.spynet: Any = network.spynet

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return the flow that lives on ``second``, and the one that lives on ``first``."""
        size = first.shape[-2:]
        whole = [(side + _MULTIPLE - 1) // _MULTIPLE * _MULTIPLE for side in size]
        frames = F.interpolate(
            torch.cat((first, second)), size=whole, mode='bilinear', align_corners=False
        )
        pyramid = [(frames - self.spynet.mean) / self.spynet.std]
        modules = list(self.spynet.basic_module)
        for _ in modules[1:]:
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))
        flow = torch.zeros_like(pyramid[-1][:, :2])
        for level, module in enumerate(modules):
            if level:
                flow = 2 * F.interpolate(flow, scale_factor=2, mode='bilinear', align_corners=True)
            supp = pyramid[-1 - level]
            ref = supp.flip(0)
            aligned = warp(supp, flow, padding_mode='border')
            flow = flow + module(torch.cat((ref, aligned, flow), dim=1))
        x, y = F.interpolate(flow, size=size, mode='bilinear', align_corners=False).split(1, dim=1)
        flow = torch.cat((x * (size[1] / whole[1]), y * (size[0] / whole[0])), dim=1)
        forward, backward = flow.split(1)
        return forward, backward


class BackwardStep(nn.Module):
    """A step from a frame to the one before."""

    def __init__(self, network: BasicVSRNet, known: Description) -> None:
        super().__init__()
        self.blocks = network.backward_resblocks
        self.warp = WarpStep(known.unshuffle)

    def forward(self, frame: Tensor, hidden: Tensor, flow: Tensor) -> Tensor:
        """Return the new state of the frame."""
        aligned = self.warp(hidden, flow)
        return self.blocks(torch.cat((unshuffle(frame, self.warp.factor), aligned), dim=1))


class ForwardStep(nn.Module):
    """A step from a frame to the next, and the restored frame."""

    def __init__(self, network: BasicVSRNet, known: Description) -> None:
        super().__init__()
        self.network: Any = network
        self.warp = WarpStep(known.unshuffle)
        self.scale = known.scale

    def forward(
        self, frame: Tensor, hidden: Tensor, flow: Tensor, other: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the new state of the frame, and what is made of it and of the other state."""
        net, factor, (height, width) = self.network, self.warp.factor, frame.shape[-2:]
        small = unshuffle(frame, factor)
        state = net.forward_resblocks(torch.cat((small, self.warp(hidden, flow)), dim=1))
        x = torch.cat((other, state), dim=1)
        for layer in (net.fusion, net.upsample1, net.upsample2, net.conv_hr):
            x = F.leaky_relu(layer(x), 0.1)
        restored = F.pixel_shuffle(net.conv_last(x) + net.img_upsample(small), factor)
        return state, restored[..., : self.scale * height, : self.scale * width]
