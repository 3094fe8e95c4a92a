# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Weights of the official S2SVR and of ARFlow to ours, and back.

The official names are those of linjing7/VR-Baseline (``encoder.``, ``decoder.``, ``pwclite.``) and
of lliuz/ARFlow. Most weights only change their names. Two parts differ in structure: the three
gates of a GRU are one convolution of the input and two of the state, and the convolution of the
attention is split into query and key.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .flow.pwclite import PWCLite
from .s2svr_net import S2SVRNet

# Layers that the official network makes and never calls.
_UNUSED = re.compile(r'encoder\.(fution|conv_1|conv_2|conv_out)\.(weight|bias)')
# With a single layer nothing looks at the context either.
_UNUSED_BY_ONE_LAYER = re.compile(_UNUSED.pattern + r'|decoder\.attention\.\w+\.weight')
# What checkpoints of ours, of mmedit's and of DDP put before the network's names.
_WRAPPERS = ('module.', 'generator.')
_STATE_OF_TRAINING = ('step_counter',)


@dataclass
class ConversionReport:
    """Account of every key of a conversion.

    Attributes:
        converted (dict[str, tuple[str, ...]]): New key -> the old keys it was made from.
        dropped (list[str]): Old keys of layers that no forward pass uses.
        unknown (list[str]): Old keys that belong to no known network.
        missing (list[str]): Old keys that a network of this depth must have.
        misshapen (list[str]): Keys whose shapes do not fit the network, with both shapes.
    """

    converted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """List every key with what became of it."""
        lines = [f'{" + ".join(old)} -> {new}' for new, old in self.converted.items()]
        for name in ('dropped', 'unknown', 'missing', 'misshapen'):
            lines += [f'{name}: {key}' for key in getattr(self, name)]
        return '\n'.join(lines)

    def check(self) -> None:
        """Refuse a conversion that does not account for every key.

        Raises:
            CheckpointError: Lists the unknown, missing and mis-shaped keys.
        """
        wrong = {name: getattr(self, name) for name in ('unknown', 'missing', 'misshapen')}
        if any(wrong.values()):
            raise CheckpointError(
                'These weights cannot be converted. '
                + ' '.join(f'{n.title()}: {", ".join(keys)}.' for n, keys in wrong.items() if keys)
            )


def from_official(
    state_dict: Mapping[str, Tensor], report: ConversionReport | None = None
) -> dict[str, Tensor]:
    """Convert weights of the official S2SVR, or of ARFlow's PWC-Lite alone, to ours.

    Args:
        state_dict (Mapping[str, Tensor]): The official weights; ``module.`` and ``generator.``
            before the names are taken off.
        report (ConversionReport, optional): Filled with what became of every key.

    Returns:
        dict[str, Tensor]: Weights of :class:`S2SVRNet`, or of :class:`PWCLite` if ``state_dict``
        holds that alone.

    Raises:
        CheckpointError: If a key is unknown, missing or mis-shaped; the message lists them all.
    """
    report = ConversionReport() if report is None else report
    old = _unwrap(state_dict)
    unused = _UNUSED if _official_depth(old)[0] > 1 else _UNUSED_BY_ONE_LAYER
    report.dropped += [key for key in old if unused.fullmatch(key)]
    old = {key: value for key, value in old.items() if key not in report.dropped}
    flow_alone = not any(key.startswith(('encoder.', 'decoder.', 'pwclite.')) for key in old)
    rules = _flow_rules('', '') if flow_alone else _network_rules(*_official_depth(old))
    new = _apply(old, [(r.official, r.ours, r.to_ours) for r in rules], report)
    _compare_shapes(new, report)
    report.check()
    return new


def to_official(
    state_dict: Mapping[str, Tensor], report: ConversionReport | None = None
) -> dict[str, Tensor]:
    """Convert our weights to those of the official S2SVR, or of ARFlow's PWC-Lite.

    The four layers that the official network never uses are not made: load the result there with
    ``strict=False``.

    Args:
        state_dict (Mapping[str, Tensor]): Weights of :class:`S2SVRNet` or :class:`PWCLite`.
        report (ConversionReport, optional): Filled with what became of every key.

    Returns:
        dict[str, Tensor]: The weights under their official names.

    Raises:
        CheckpointError: If a key is unknown, missing or mis-shaped; the message lists them all.
    """
    report = ConversionReport() if report is None else report
    old = _unwrap(state_dict)
    flow_alone = not any(k.startswith(('encoder.', 'decoder.g', 'flow_estimator.')) for k in old)
    rules = _flow_rules('', '') if flow_alone else _network_rules(*_our_depth(old))
    _compare_shapes(old, report)
    new = _apply(old, [(r.ours, r.official, r.to_official) for r in rules], report)
    report.check()
    return new


@dataclass
class _Rule:
    """Tensors that turn into each other."""

    official: tuple[str, ...]
    ours: tuple[str, ...]
    to_ours: Callable[..., tuple[Tensor, ...]]
    to_official: Callable[..., tuple[Tensor, ...]]


def _renamed(official: str, ours: str) -> Iterator[_Rule]:
    for part in ('weight', 'bias'):
        yield _Rule((f'{official}.{part}',), (f'{ours}.{part}',), _same, _same)


def _gru(official: str, ours: str) -> _Rule:
    return _Rule(
        tuple(f'{official}.conv{gate}.{part}' for part in ('weight', 'bias') for gate in 'zrq'),
        tuple(
            f'{ours}.{name}'
            for name in (
                'input_gates.weight',
                'input_gates.bias',
                'hidden_gates.weight',
                'candidate.weight',
            )
        ),
        _merge_gates,
        _split_gates,
    )


def _same(tensor: Tensor) -> tuple[Tensor]:
    return (tensor,)


def _merge_gates(z: Tensor, r: Tensor, q: Tensor, *biases: Tensor) -> tuple[Tensor, ...]:
    """Merge gates: the official weights read [h, x], ours x for all gates and h by itself."""
    c = z.shape[0]
    inputs = torch.cat([gate[:, c:] for gate in (z, r, q)])
    return inputs, torch.cat(biases), torch.cat((z[:, :c], r[:, :c])), q[:, :c]


def _split_gates(
    inputs: Tensor, bias: Tensor, hidden: Tensor, candidate: Tensor
) -> tuple[Tensor, ...]:
    states = (*hidden.chunk(2), candidate)
    weights = [torch.cat(pair, 1) for pair in zip(states, inputs.chunk(3), strict=True)]
    return *weights, *bias.chunk(3)


def _blocks(official: str, ours: str, num_blocks: int) -> Iterator[_Rule]:
    for i in range(num_blocks):
        for conv in ('conv1', 'conv2'):
            yield from _renamed(f'{official}.{i}.{conv}', f'{ours}.{i}.{conv}')


def _network_rules(num_layers: int, num_blocks: int) -> Iterator[_Rule]:
    encoders = [
        ('encoder_layer1_f', 'forward_layer'),
        ('encoder_layer1_b', 'backward_layer'),
        *((f'encoder_layers.{i}', f'layers.{i}') for i in range(num_layers - 1)),
    ]
    for official, ours in encoders:
        yield _gru(f'encoder.{official}.conv_gru', f'encoder.{ours}.gru')
        yield from _blocks(f'encoder.{official}.resblocks', f'encoder.{ours}.blocks', num_blocks)
    yield from _renamed('encoder.encoder_layer1_b.fusion', 'encoder.backward_layer.fusion')
    for i in range(num_layers):
        yield _gru(f'decoder.convgru_layers.{i}', f'decoder.grus.{i}')
        yield from _blocks(f'decoder.recon_layers.{i}', f'decoder.blocks.{i}', num_blocks)
    for i in range(num_layers - 1):
        yield from _renamed(f'decoder.fution_layers.{i}', f'decoder.fusions.{i}')
    if num_layers > 1:
        yield _Rule(
            ('decoder.attention.attn.weight',),
            ('decoder.attention.query.weight', 'decoder.attention.key.weight'),
            lambda both: both.chunk(2, dim=1),
            lambda query, key: (torch.cat((query, key), 1),),
        )
        score = ('decoder.attention.v.weight',), ('decoder.attention.score.weight',)
        yield _Rule(*score, _same, _same)
    for i in range(3):
        yield from _renamed(f'decoder.conv_out_{i + 1}', f'decoder.output.convs.{i}')
    for i in range(4):
        yield from _renamed(f'decoder.conv_inp_{i + 1}', f'decoder.feedback.convs.{i}')
    yield from _flow_rules('pwclite.', 'flow_estimator.')


def _flow_rules(official: str, ours: str) -> Iterator[_Rule]:
    for i in range(6):
        extractor = f'{official}feature_pyramid_extractor.convs.{i}'
        yield from _renamed(f'{extractor}.0.0', f'{ours}pyramid.down.{i}')
        yield from _renamed(f'{extractor}.1.0', f'{ours}pyramid.same.{i}')
    for i in range(1, 6):
        yield from _renamed(f'{official}flow_estimators.conv{i}.0', f'{ours}decoder.conv{i}')
    yield from _renamed(f'{official}flow_estimators.predict_flow.0', f'{ours}decoder.predict')
    for i in range(6):
        yield from _renamed(f'{official}context_networks.convs.{i}.0', f'{ours}context.convs.{i}')
    yield from _renamed(f'{official}context_networks.convs.6.0', f'{ours}context.last')
    for i in range(5):
        yield from _renamed(f'{official}conv_1x1.{i}.0', f'{ours}reduce.{i}')


def _unwrap(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    result = {}
    for key, value in state_dict.items():
        for wrapper in _WRAPPERS:
            key = key.removeprefix(wrapper)
        if key not in _STATE_OF_TRAINING:
            result[key] = value
    return result


def _official_depth(keys: Mapping[str, Tensor]) -> tuple[int, int]:
    layers = _count(keys, r'encoder\.encoder_layers') + 1, _count(keys, r'decoder\.convgru_layers')
    blocks = r'(?:encoder\..+\.resblocks|decoder\.recon_layers\.\d+)'
    return max(layers), _count(keys, blocks)


def _our_depth(keys: Mapping[str, Tensor]) -> tuple[int, int]:
    layers = _count(keys, r'encoder\.layers') + 1, _count(keys, r'decoder\.grus')
    blocks = r'(?:encoder\.(?:\w+_layer|layers\.\d+)|decoder)\.blocks(?:\.\d+)?'
    return max(layers), _count(keys, blocks + r'(?=\.\d+\.conv)')


def _count(keys: Mapping[str, Tensor], prefix: str) -> int:
    """How many modules stand in a list: one more than the highest number seen."""
    matches = (re.match(prefix + r'\.(\d+)\.', key) for key in keys)
    return max((int(match[1]) + 1 for match in matches if match), default=0)


def _apply(
    old: Mapping[str, Tensor],
    rules: list[tuple[tuple[str, ...], tuple[str, ...], Callable]],
    report: ConversionReport,
) -> dict[str, Tensor]:
    new: dict[str, Tensor] = {}
    known: set[str] = set()
    for sources, targets, convert in rules:
        known.update(sources)
        absent = [key for key in sources if key not in old]
        report.missing += absent
        if absent:
            continue
        try:
            tensors = convert(*(old[key] for key in sources))
        except (RuntimeError, IndexError):
            report.misshapen += [f'{key} {tuple(old[key].shape)}' for key in sources]
            continue
        for target, tensor in zip(targets, tensors, strict=True):
            new[target] = tensor.detach().clone(memory_format=torch.contiguous_format)
            report.converted[target] = sources
    report.unknown += [key for key in old if key not in known]
    return new


def _compare_shapes(state_dict: Mapping[str, Tensor], report: ConversionReport) -> None:
    """Compare our weights with those of a network of their sizes."""
    with torch.device('meta'):
        network = _network_of(state_dict)
    for key, value in network.state_dict().items():
        if key in state_dict and state_dict[key].shape != value.shape:
            sources = ' + '.join(report.converted.get(key, (key,)))
            report.misshapen.append(
                f'{sources} {tuple(state_dict[key].shape)}, expected {tuple(value.shape)} for {key}'
            )


def _network_of(state_dict: Mapping[str, Tensor]) -> nn.Module:
    """Make a network whose depth, width and scale are those that the weights show."""
    num_layers, num_blocks = _our_depth(state_dict)
    width = state_dict.get('encoder.forward_layer.gru.candidate.weight')
    output = state_dict.get('decoder.output.convs.2.weight')
    if width is None or output is None:
        return PWCLite()
    scale = {3: 1, 12: 2}.get(output.shape[0], 4)
    return S2SVRNet(max(width.shape[0], 2), num_blocks, num_layers, scale)
