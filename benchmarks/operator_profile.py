# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Where the time of one forward pass goes, and against what bound."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from s2svr_mm.models import S2SVRNet
from s2svr_mm.utils.devices import autocast

# The first that matches the name of an operation, without 'aten::', is its kind.
KINDS = (
    ('convolutions', 'conv'),
    ('matrix products', r'b?mm$|addmm|matmul|baddbmm'),
    ('warps', 'embedding_bag|grid_sampler'),
    ('resizing', 'upsample|pixel_shuffle|interpolate'),
    (
        'copies',
        'copy|cat$|stack|clone|contiguous|^to$|_pad|padding|reflection|replication|fill|zero',
    ),
    (
        'element by element',
        '^_*(r?sub|add|mul|div|neg|sigmoid|tanh|relu|leaky_relu|softmax|log|exp|floor|clamp|'
        'nan_to_num|arange|ge|le|lt|gt|eq|bitwise|and|or|pow|sum|mean)',
    ),
)
_OTHER = 'calls, views, allocation'


@dataclass(frozen=True)
class ConvolutionShape:
    """Convolutions of one shape.

    Attributes:
        text (str): Shapes of input and weight, stride and dilation.
        calls (int): How many.
        seconds (float): Time of all of them.
        flops (float): Operations of all of them; a multiply-add is two.
    """

    text: str
    calls: int
    seconds: float
    flops: float


@dataclass
class Profile:
    """Seconds by kind of operation, of the flow network and of the rest.

    Attributes:
        flow (dict[str, float]): Of the flow network.
        rest (dict[str, float]): Of encoder and decoder.
        convolutions (list[ConvolutionShape]): By shape, the slowest first.
    """

    flow: dict[str, float]
    rest: dict[str, float]
    convolutions: list[ConvolutionShape] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """All of it."""
        return sum(self.flow.values()) + sum(self.rest.values())


def profile_network(net: S2SVRNet, clip: Tensor, dtype: torch.dtype) -> Profile:
    """Profile one forward pass, after one to warm up.

    The time of an operation is its own, without that of the operations it calls; on a GPU it is
    that of its kernels. The profiler itself slows small operations down, so shares count, not
    seconds.

    Args:
        net (S2SVRNet): The network.
        clip (Tensor): (n, t, 3, h, w), on the device of the network.
        dtype (torch.dtype): float32, or the type of autocast.

    Returns:
        Profile: What was found.
    """
    with torch.inference_mode(), autocast(clip.device, dtype):
        net(clip)
        flows: list[Tensor] = []
        in_flow = _events(lambda: flows.extend(net.compute_flow(clip)), clip.device)
        in_rest = _events(lambda: net(clip, tuple(flows)), clip.device)
    cuda = clip.device.type == 'cuda'
    return Profile(
        _by_kind(in_flow, cuda),
        _by_kind(in_rest, cuda),
        _by_shape((*in_flow, *in_rest), cuda),
    )


def kind_of(name: str) -> str:
    """Return the kind of an operation.

    Args:
        name (str): Its name, such as 'aten::mul'.

    Returns:
        str: A name of ``KINDS``, or that of the rest.
    """
    short = name.removeprefix('aten::')
    return next((kind for kind, pattern in KINDS if re.search(pattern, short)), _OTHER)


def _events(function: Callable[[], object], device: torch.device) -> list[FunctionEvent]:
    # Or a torch with CUDA complains on a machine without a GPU.
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    activities = [ProfilerActivity.CPU]
    if device.type == 'cuda':
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities, record_shapes=True, acc_events=True) as profiler:
        function()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
    return [event for event in profiler.events() if event.name.startswith(('aten::', 'mmcv'))]


def _by_kind(events: Sequence[FunctionEvent], cuda: bool) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for event in events:
        own = event.self_device_time_total if cuda else event.self_cpu_time_total
        kind = kind_of(event.name)
        seconds[kind] = seconds.get(kind, 0.0) + own / 1e6
    return seconds


def _by_shape(events: Sequence[FunctionEvent], cuda: bool) -> list[ConvolutionShape]:
    found: dict[str, list[tuple[float, float]]] = {}
    for event in events:
        if event.name != 'aten::convolution':
            continue
        (n, c, h, w), weight = event.input_shapes[:2]
        stride, padding, dilation = event.concrete_inputs[3:6]
        out = [
            (size + 2 * p - d * (k - 1) - 1) // s + 1
            for size, k, s, p, d in zip((h, w), weight[2:], stride, padding, dilation, strict=True)
        ]
        text = f'{n} x {c} x {h} x {w} by {" x ".join(map(str, weight))}'
        text += f', stride {stride[0]}' if stride[0] > 1 else ''
        text += f', dilation {dilation[0]}' if dilation[0] > 1 else ''
        time = event.device_time_total if cuda else event.cpu_time_total
        found.setdefault(text, []).append((time / 1e6, 2.0 * n * prod(out) * prod(weight)))
    shapes = [
        ConvolutionShape(text, len(each), sum(s for s, _ in each), sum(f for _, f in each))
        for text, each in found.items()
    ]
    return sorted(shapes, key=lambda shape: -shape.seconds)
