# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What networks require of their input, and clips padded to meet it."""

from typing import NamedTuple

import torch
from mmagic.models.editors import BasicVSRNet, BasicVSRPlusPlusNet, IconVSRNet
from torch import Tensor, nn

from ..errors import ConfigError


class InputRequirements(NamedTuple):
    """What a network requires of a clip, as its attribute ``input_requirements`` states it.

    Attributes:
        side (int): Least height and width in pixels.
        multiple (int): Divisor of height and width.
        frames (int): Fewest frames.
        stride (int): Divisor of the number of frames from one window to the next. Defaults to 1.
    """

    side: int
    multiple: int
    frames: int
    stride: int = 1


def requirements_of(network: nn.Module) -> InputRequirements:
    """Look up what a network requires.

    Args:
        network (nn.Module): One of ours, which states it; one of mmagic's; or any other, which is
            taken to require what BasicVSR does.

    Returns:
        InputRequirements: What it requires.
    """
    stated = getattr(network, 'input_requirements', None)
    if isinstance(stated, InputRequirements):
        return stated
    # SPyNet's pyramid needs 64 pixels. BasicVSR++ at scale 1 computes flows at a quarter of the
    # size. EDVR, which IconVSR's keyframes go through, sees 5 frames.
    if isinstance(network, IconVSRNet):
        return InputRequirements(64, 4, 5, network.keyframe_stride)
    if isinstance(network, BasicVSRPlusPlusNet) and not network.is_low_res_input:
        return InputRequirements(256, 4, 2)
    return InputRequirements(64, 4, 2)


def scale_of(network: nn.Module) -> int:
    """Look up the size of a network's output over that of its input.

    Args:
        network (nn.Module): As for :func:`requirements_of`; one that is not known is run once.

    Returns:
        int: The scale.

    Raises:
        ConfigError: If the network does not make a sequence of frames from one.
    """
    stated = getattr(network, 'scale', None)
    if hasattr(network, 'input_requirements') and isinstance(stated, int):
        return stated
    if isinstance(network, BasicVSRPlusPlusNet):
        return 4 if network.is_low_res_input else 1
    if isinstance(network, BasicVSRNet | IconVSRNet):
        return 4
    device = next((parameter.device for parameter in network.parameters()), None)
    with torch.inference_mode():
        shape = network(torch.zeros(1, 2, 3, 64, 64, device=device)).shape
    if len(shape) != 5 or shape[:3] != (1, 2, 3) or shape[3] % 64 or shape[3] != shape[4]:
        raise ConfigError(
            f'{type(network).__name__} makes {tuple(shape)} of (1, 2, 3, 64, 64): it is no network '
            'from sequence to sequence'
        )
    return shape[3] // 64


def padded(clip: Tensor, requirements: InputRequirements) -> Tensor:
    """Mirror a clip at its end, its right and its bottom up to what a network requires.

    Args:
        clip (Tensor): (1, t, 3, h, w).
        requirements (InputRequirements): What the network requires.

    Returns:
        Tensor: The clip, longer and larger if need be.
    """
    height, width = (
        max(length + -length % requirements.multiple, requirements.side)
        for length in clip.shape[-2:]
    )
    for axis, wanted in ((1, requirements.frames), (3, height), (4, width)):
        length = clip.shape[axis]
        if wanted > length:
            index = torch.arange(wanted, device=clip.device) % (2 * length)
            clip = clip.index_select(
                axis, torch.where(index < length, index, 2 * length - 1 - index)
            )
    return clip
