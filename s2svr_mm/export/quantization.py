# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The recurrence of a network with convolutions in 8-bit integers.

Each such convolution rounds its input to 256 levels of a range, and its weights to 127 levels for
each output channel (Jacob et al., CVPR 2018): with more, sums of two products overflow 16 bits on
x86 processors without VNNI. All else stays in float32: states, gates, skips and sums, the flow, the
detail branch, the convolutions that read frames, given or restored, or write the residual, and the
GRU of the first layer, as what it loses, all others lose.
"""

import copy
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoints.files import weights_digest
from ..checkpoints.shipped import FOLDER
from ..errors import ConfigError
from ..io.clips import find_clips, open_reader
from ..io.images import to_levels
from ..models.s2svr_net import S2SVRNet

# Of the bundled networks, by the digest of their weights.
RANGES = FOLDER / 'int8_ranges.json'
_LEVELS = 255
_LARGEST_WEIGHT = 63
# Of a clip, to find ranges.
_FRAMES, _SIDE = 8, 192

# Least and greatest value of the input of each convolution, by its name.
Ranges = Mapping[str, tuple[float, float]]


class QuantizedConv2d(nn.Module):
    """A convolution whose input and weights are rounded to 8 bits, computed in float32.

    An exporter to ONNX writes the rounding as QuantizeLinear and DequantizeLinear, which tell back
    ends to compute with integers.

    Args:
        conv (nn.Conv2d): The convolution.
        low (float): Least value of its input; what is below becomes it.
        high (float): Greatest value of its input.
    """

    steps: Tensor
    zeros: Tensor

    def __init__(self, conv: nn.Conv2d, low: float, high: float) -> None:
        super().__init__()
        self.conv = conv
        # Zero has to be a level: the padding is made of it.
        low, high = min(low, 0.0), max(high, 0.0)
        self.step = max((high - low) / _LEVELS, 1e-8)
        self.zero = round(-low / self.step)
        largest = conv.weight.detach().abs().amax((1, 2, 3))
        self.register_buffer('steps', largest.clamp_min(1e-8) / _LARGEST_WEIGHT)
        self.register_buffer('zeros', torch.zeros(len(largest), dtype=torch.int32))

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.conv.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Convolve.

        Args:
            x (Tensor): (n, c, h, w).

        Returns:
            Tensor: (n, out_channels, h', w').
        """
        x = torch.fake_quantize_per_tensor_affine(x, self.step, self.zero, 0, _LEVELS)
        weight = torch.fake_quantize_per_channel_affine(
            self.conv.weight, self.steps, self.zeros, 0, -128, 127
        )
        return self.conv._conv_forward(x, weight, self.conv.bias)


def check_quantizable(network: nn.Module) -> S2SVRNet:
    """Return the network if it can be quantized to int8.

    Args:
        network (nn.Module): The network.

    Raises:
        ConfigError: If it is no :class:`.S2SVRNet`.
    """
    if not isinstance(network, S2SVRNet):
        raise ConfigError(
            'only S2SVR can be quantized to int8, but this is '
            f'{type(network).__name__}: use float32'
        )
    return network


def quantized_convolutions(network: S2SVRNet) -> dict[str, nn.Conv2d]:
    """Return the convolutions that are computed in integers, by name."""
    convs = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    output = [name for name in convs if name.startswith('decoder.output.')]
    feedback = [name for name in convs if name.startswith('decoder.feedback.')]
    kept = {
        'encoder.backward_layer.gru.input_gates',
        feedback[0],
        output[-1],
    }
    parts = ('flow_estimator.', 'details.', 'encoder.forward_layer.gru.')
    return {
        name: conv
        for name, conv in convs.items()
        if name not in kept and not name.startswith(parts)
    }


@torch.no_grad()
def observe_ranges(network: S2SVRNet, clips: Iterable[Tensor]) -> Ranges:
    """Find the range of each quantized convolution's input.

    Args:
        network (S2SVRNet): The network, on the CPU.
        clips (Iterable[Tensor]): Clips such as it is meant for, (1, t, 3, h, w) in [0, 1].

    Returns:
        Ranges: Least and greatest values that were seen.

    Raises:
        ConfigError: There are no clips of two frames or more.
    """
    seen: dict[str, list[Tensor]] = defaultdict(list)
    convs = quantized_convolutions(network)
    hooks = [
        conv.register_forward_pre_hook(
            lambda _, inputs, name=name: seen[name].append(torch.stack(inputs[0].aminmax()))
        )
        for name, conv in convs.items()
    ]
    try:
        for clip in clips:
            network(clip)
    finally:
        for hook in hooks:
            hook.remove()
    # What reads the restored frame after is not called for a single frame.
    if seen.keys() != convs.keys():
        raise ConfigError(
            'the ranges of int8 are found on clips of two frames or more: there are none'
        )
    return {
        name: (float(torch.stack(seen[name]).min()), float(torch.stack(seen[name]).max()))
        for name in convs
    }


def read_clips(folder: str) -> Iterator[Tensor]:
    """Read the beginnings of clips, to calibrate a network on.

    Args:
        folder (str): A folder of clips, or one clip.

    Yields:
        Tensor: (1, t, 3, h, w) in [0, 1]: up to 8 frames of a clip, of each the middle, of at most
        192x192 pixels.

    Raises:
        DataError: There are no clips, or one can't be read.
    """
    for path in find_clips(folder).values():
        reader = open_reader(path)
        frames = [to_levels(frame.rgb) for frame in reader.iterate(0, _FRAMES)]
        clip = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2) / 255
        top, left = (max(side - _SIDE, 0) // 2 for side in clip.shape[2:])
        yield clip[None, ..., top : top + _SIDE, left : left + _SIDE].float()


def quantize(network: S2SVRNet, ranges: Ranges) -> S2SVRNet:
    """Return a copy of a network with quantized convolutions.

    Args:
        network (S2SVRNet): The network, which stays as it is.
        ranges (Ranges): As :func:`observe_ranges` found them.
    """
    copied = copy.deepcopy(network)
    for name, conv in quantized_convolutions(copied).items():
        copied.set_submodule(name, QuantizedConv2d(conv, *ranges[name]))
    return copied


def bundled_ranges(network: nn.Module) -> Ranges:
    """Return the ranges that are known for exactly the weights of a network.

    Args:
        network (nn.Module): The network.

    Raises:
        ConfigError: It can't be quantized, or its weights are not those of a bundled network.
    """
    check_quantizable(network)
    known = json.loads(RANGES.read_text(encoding='utf-8'))
    found = known.get(weights_digest(network))
    if found is None:
        names = ', '.join(sorted(entry['name'] for entry in known.values()))
        raise ConfigError(
            'int8 needs the ranges of the values inside a network, which are known for the bundled '
            f'networks alone ({names}). Restore with another one in float32; s2svr export finds '
            'ranges by --int8 --calibrate CLIPS'
        )
    return {name: (low, high) for name, (low, high) in found['ranges'].items()}
