# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The steps of an S2SVR network's recurrence, each a graph of tensors that ONNX can hold.

Frames and flows are those of the caller, in pixels; states are maps at the network's own size, a
square of ``unshuffle`` pixels each. Zeros stand for the state and the flow where there is none yet.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ..models.conv_gru import ResConvGRU
from ..models.detail_branch import DetailBranch
from ..models.flow.adaptors import SPyNet, ZeroFlow
from ..models.flow.estimators import resize_input
from ..models.flow.fine_pwclite import FinePWCLite
from ..models.flow.pwclite import PWCLite
from ..models.s2svr_net import S2SVRNet
from ..models.s2svr_plus_net import S2SVRPlusNet
from ..ops.brightness import keep_brightness
from ..ops.lucas_kanade import refine_flow
from ..ops.pixel_unshuffle import shuffle, unshuffle, unshuffle_flow
from ..ops.resize_flow import resize_flow
from ..ops.warp import FlowSampler, warp
from .spynet import spynet_flow

# Others may compute sizes in Python, which a graph would keep as constants, or call OpenCV.
_EXPORTED_ESTIMATORS = (PWCLite, SPyNet, ZeroFlow)


@dataclass(frozen=True)
class Description:
    """What a loop over the graphs needs to know of a network.

    Attributes:
        kind (str): Which loop runs the graphs, 's2svr' or 'basicvsr'; for the latter, what follows
            ``channels`` keeps its defaults.
        scale (int): Size of the output over that of the input.
        unshuffle (int): Side of the squares of pixels that the states lie on.
        channels (int): Channels of a state.
        layers (int): Layers of the encoder and of the decoder.
        attention_radius (int): Frames on each side that the decoder reads beside a frame; 0 if it
            reads that frame alone.
        details (bool): Whether there is a detail branch.
        aligned (int): Frames on each side that it reads aligned.
        in_place (int): Frames on each side that it reads as they are.
    """

    kind: str
    scale: int
    unshuffle: int
    channels: int
    layers: int = 0
    attention_radius: int = 0
    details: bool = False
    aligned: int = 0
    in_place: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data, by the names of the attributes."""
        return asdict(self)

    @classmethod
    def of(cls, network: S2SVRNet) -> 'Description':
        """Describe a network.

        Args:
            network (S2SVRNet): The network.
        """
        details = _details_of(network)
        encoder, decoder = network.encoder, network.decoder
        return cls(
            kind='s2svr',
            scale=network.scale,
            unshuffle=_unshuffle_of(network),
            channels=encoder.forward_layer.gru.candidate.out_channels,
            layers=len(decoder.grus),
            attention_radius=decoder.attention_radius if decoder.attention is not None else 0,
            details=details is not None,
            aligned=details.aligned if details is not None else 0,
            in_place=details.in_place if details is not None else 0,
        )


class Graph(NamedTuple):
    """A step and the tensors it takes and makes.

    Attributes:
        module (nn.Module): Its ``forward`` takes the inputs in order.
        inputs (dict[str, tuple[int, int, bool]]): Maps, channels, and whether they are of the size
            of a state, else of a frame.
        outputs (Sequence[str]): Names of what is returned.
    """

    module: nn.Module
    inputs: dict[str, tuple[int, int, bool]]
    outputs: Sequence[str]


def graphs_of(network: S2SVRNet) -> dict[str, Graph]:
    """Split a network into the steps of its recurrence.

    Args:
        network (S2SVRNet): The network.

    Returns:
        dict[str, Graph]: Its steps by name: ``flow`` (unless its estimator stays outside),
        ``forward``, ``backward``, ``layer1`` and so on, ``warp``, ``decoder``, and for a detail
        branch ``align_near``, ``align_far`` and ``details``.
    """
    known = Description.of(network)
    factor = known.unshuffle
    frame, flow, state = (1, 3, False), (1, 2, False), (1, known.channels, True)
    graphs: dict[str, Graph] = {}
    if _has_graph(network.flow_estimator):
        graphs['flow'] = Graph(
            FlowStep(network), {'first': frame, 'second': frame}, ('forward', 'backward')
        )
    step = {'frame': frame, 'hidden': state, 'flow': flow}
    encoder, layers = network.encoder, cast(Sequence[ResConvGRU], network.encoder.layers)
    graphs['forward'] = Graph(FirstLayerStep(encoder.forward_layer, factor), step, ('state',))
    graphs['backward'] = Graph(
        FirstLayerStep(encoder.backward_layer, factor), {**step, 'other': state}, ('state',)
    )
    for i, layer in enumerate(layers, start=1):
        graphs[f'layer{i}'] = Graph(
            UpperLayerStep(layer, factor),
            {'below': state, 'hidden': state, 'flow': flow},
            ('state', 'output'),
        )
    graphs['warp'] = Graph(WarpStep(factor), {'features': state, 'flow': flow}, ('aligned',))
    inputs = {
        'frame': frame,
        'feedback': state,
        'states': (1, known.channels * known.layers, True),
        'flow': flow,
    }
    if network.decoder.attention is not None:
        inputs['neighbours'] = (1 + 2 * known.attention_radius, known.channels, True)
    if (details := _details_of(network)) is not None:
        inputs['details'] = (1, 3 * factor**2, True)
        graphs |= _detail_graphs(details)
    graphs['decoder'] = Graph(
        DecoderStep(network, tuple(inputs)),
        inputs,
        ('restored', 'next_feedback', 'next_states'),
    )
    return graphs


def _detail_graphs(details: DetailBranch) -> dict[str, Graph]:
    frame, flow = (1, 3, False), (1, 2, False)
    graphs = {}
    inputs = {'frame': frame}
    if details.aligned:
        graphs['align_near'] = Graph(AlignNear(), {'neighbour': frame, 'flow': flow}, ('aligned',))
        inputs['aligned'] = (2 * details.aligned, 3, False)
    if details.aligned > 1:
        graphs['align_far'] = Graph(
            AlignFar(),
            {'frame': frame, 'neighbour': frame, 'flow': flow, 'step': flow},
            ('aligned', 'longer'),
        )
    if details.in_place:
        inputs['in_place'] = (2 * details.in_place, 3, False)
    graphs['details'] = Graph(DetailStep(details, tuple(inputs)), inputs, ('residual',))
    return graphs


def _has_graph(estimator: Any) -> bool:
    if isinstance(estimator, FinePWCLite):
        estimator = estimator.coarse
    return isinstance(estimator, _EXPORTED_ESTIMATORS)


def _unshuffle_of(network: S2SVRNet) -> int:
    return network.unshuffle if isinstance(network, S2SVRPlusNet) else 1


def _details_of(network: S2SVRNet) -> DetailBranch | None:
    return network.details if isinstance(network, S2SVRPlusNet) else None


class FlowStep(nn.Module):
    """Flow between two frames, both ways, as :meth:`.S2SVRNet.compute_flow` computes it."""

    def __init__(self, network: S2SVRNet) -> None:
        super().__init__()
        self.estimator: Any = network.flow_estimator
        self.input_size = network.flow_input_size
        self.refine = isinstance(network, S2SVRPlusNet) and network.refine_flow

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        """Return the flow that lives on ``second``, and the one that lives on ``first``."""
        size = first.shape[-2:]
        small = [resize_input(frame, self.input_size) for frame in (first, second)]
        if hasattr(self.estimator, 'flow_pyramids'):
            backward, forward = (levels[0] for levels in self.estimator.flow_pyramids(*small))
        else:
            estimate = self.estimator
            if isinstance(estimate, SPyNet):
                estimate = partial(spynet_flow, estimate)
            forward, backward = estimate(*small[::-1]), estimate(*small)
        if self.input_size is not None:
            forward, backward = (resize_flow(flow, size) for flow in (forward, backward))
        if self.refine:
            forward = refine_flow(second, first, forward)
            backward = refine_flow(first, second, backward)
        return forward, backward


class WarpStep(nn.Module):
    """Alignment of a state along a flow of the frames."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, features: Tensor, flow: Tensor) -> Tensor:
        """Sample the features along the flow."""
        return FlowSampler(unshuffle_flow(flow, self.factor))(features)


class FirstLayerStep(nn.Module):
    """A step of the encoder's first layer, of one direction."""

    def __init__(self, layer: ResConvGRU, factor: int) -> None:
        super().__init__()
        self.layer = layer
        self.warp = WarpStep(factor)

    def forward(
        self, frame: Tensor, hidden: Tensor, flow: Tensor, other: Tensor | None = None
    ) -> Tensor:
        """Return the new state of the frame."""
        gates = self.layer.gru.input_gates(unshuffle(frame, self.warp.factor))
        return self.layer.step(gates, self.warp(hidden, flow), other)


class UpperLayerStep(nn.Module):
    """A step of one of the encoder's layers above the first."""

    def __init__(self, layer: ResConvGRU, factor: int) -> None:
        super().__init__()
        self.layer = layer
        self.warp = WarpStep(factor)

    def forward(self, below: Tensor, hidden: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Return the new state, and what the layer above sees."""
        gates = self.layer.gru.input_gates(below)
        state = self.layer.step(gates, self.warp(hidden, flow), None)
        return state, below + state


class DecoderStep(nn.Module):
    """A step of the decoder: attention, reconstruction and feedback."""

    def __init__(self, network: S2SVRNet, inputs: Sequence[str]) -> None:
        super().__init__()
        self.decoder = network.decoder
        self.inputs = inputs
        self.warp = WarpStep(_unshuffle_of(network))
        self.brightness_window = (
            network.brightness_window if isinstance(network, S2SVRPlusNet) else None
        )

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the restored frame, what the next step reads of it, and the new states."""
        given = dict(zip(self.inputs, tensors, strict=True))
        factor, scale = self.warp.factor, self.decoder.scale
        layers = len(self.decoder.grus)
        x = torch.cat((given['feedback'], given['states']), dim=1)
        x, *states = self.warp(x, given['flow']).chunk(1 + layers, dim=1)
        frame = unshuffle(given['frame'], factor)
        detailed = frame + given['details'] if 'details' in given else frame
        values: Sequence[Tensor] = ()
        if 'neighbours' in given:
            values = given['neighbours'].split(1)
        restored, *states = self.decoder.step(detailed, x, states, values, [1] * len(values))
        feedback = self.decoder.feedback(restored)
        restored = keep_brightness(restored, frame, scale, self.brightness_window)
        height, width = given['frame'].shape[-2:]
        whole = shuffle(restored, factor)[..., : scale * height, : scale * width]
        return whole, feedback, torch.cat(states, dim=1)


class AlignNear(nn.Module):
    """Alignment of a frame's neighbour for the detail branch."""

    def forward(self, neighbour: Tensor, flow: Tensor) -> Tensor:
        """Sample the neighbour along the flow."""
        return warp(neighbour, flow, padding_mode='border')


class AlignFar(nn.Module):
    """Alignment of a farther frame: the flow so far, one step longer."""

    def forward(
        self, frame: Tensor, neighbour: Tensor, flow: Tensor, step: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the neighbour aligned to the frame, and the flow from the frame to it."""
        longer = flow + warp(step, flow, padding_mode='border')
        longer = refine_flow(frame, neighbour, longer)
        return warp(neighbour, longer, padding_mode='border'), longer


class DetailStep(nn.Module):
    """The detail branch of a frame, whose neighbours are aligned already."""

    def __init__(self, details: DetailBranch, inputs: Sequence[str]) -> None:
        super().__init__()
        self.branch = details
        self.inputs = inputs

    def forward(self, *tensors: Tensor) -> Tensor:
        """Return the residual; neighbours are nearest first, the earlier of a pair first."""
        given = dict(zip(self.inputs, tensors, strict=True))
        sides = {
            name: (given[name].split(1)[::2], given[name].split(1)[1::2])
            for name in ('aligned', 'in_place')
            if name in given
        }
        nothing: tuple[Sequence[Tensor], ...] = ((), ())
        aligned, in_place = (sides.get(name, nothing) for name in ('aligned', 'in_place'))
        return self.branch.residual(self.branch.compare(given['frame'], *aligned, *in_place))
