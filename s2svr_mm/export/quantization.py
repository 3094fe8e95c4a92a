# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The recurrence of a network with convolutions in 8-bit integers.

Each such convolution rounds its input to 256 levels of a range, and its weights to 255 levels for
each output channel (Jacob et al., CVPR 2018). All else stays in float32: states, gates, skips and
sums, the flow, the detail branch, and the convolutions that read frames or write the residual.
"""

import copy
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
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
# Of a clip, to find ranges.
_FRAMES, _SIDE = 8, 192

# Least and greatest value of the input of each convolution, by its name.
Ranges = Mapping[str, tuple[float, float]]


class QuantizedConv2d(nn.Module):
    """A convolution whose input and weights are rounded to 8 bits, computed in float32.

    An exporter to ONNX writes the rounding as QuantizeLinear and DequantizeLinear, by which back
    ends know that integers do.

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
        self.register_buffer('steps', largest.clamp_min(1e-8) / 127)
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
        conv = self.conv
        return F.conv2d(x, weight, conv.bias, conv.stride, conv.padding)


def quantized_convolutions(network: S2SVRNet) -> dict[str, nn.Conv2d]:
    """Return the convolutions that are computed in integers, by name."""
    convs = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    last = [name for name in convs if name.startswith('decoder.output.')][-1]
    kept = (
        'flow_estimator.',
        'details.',
        'encoder.forward_layer.gru.input_gates',
        'encoder.backward_layer.gru.input_gates',
        last,
    )
    return {name: conv for name, conv in convs.items() if not name.startswith(kept)}


@torch.no_grad()
def observe_ranges(network: S2SVRNet, clips: Iterable[Tensor]) -> Ranges:
    """Find the range of each quantized convolution's input.

    Args:
        network (S2SVRNet): The network, on the CPU.
        clips (Iterable[Tensor]): Clips such as it is meant for, (1, t, 3, h, w) in [0, 1].

    Returns:
        Ranges: Least and greatest values that were seen.

    Raises:
        ConfigError: There are no clips.
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
    if not seen:
        raise ConfigError('there are no clips to find the ranges of int8 from')
    # The attention of a clip of one layer is never called.
    return {
        name: (float(torch.stack(seen[name]).min()), float(torch.stack(seen[name]).max()))
        for name in convs
        if name in seen
    }


def read_clips(folder: str) -> Iterator[Tensor]:
    """Read the beginnings of clips, to observe a network on.

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
        if name in ranges:
            copied.set_submodule(name, QuantizedConv2d(conv, *ranges[name]))
    return copied


def bundled_ranges(network: nn.Module) -> Ranges:
    """Return the ranges that are known of a network's very weights.

    Args:
        network (nn.Module): The network.

    Raises:
        ConfigError: None are.
    """
    known = json.loads(RANGES.read_text(encoding='utf-8'))
    found = known.get(weights_digest(network))
    if found is None:
        names = ', '.join(sorted(entry['name'] for entry in known.values()))
        raise ConfigError(
            'int8 needs the ranges of the values inside a network, which are known of the bundled '
            f'networks alone ({names}): take --dtype float32 for another one'
        )
    return {name: (low, high) for name, (low, high) in found['ranges'].items()}
