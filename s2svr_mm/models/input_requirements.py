# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What networks need their input to be, and clips made to fit."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .s2svr_net import S2SVRNet


class InputRequirements(NamedTuple):
    """What a network needs its input to be: least side, divisor of the sides, fewest frames."""

    side: int
    multiple: int
    frames: int


def requirements_of(network: nn.Module) -> InputRequirements:
    """What a network needs; any but :class:`S2SVRNet` is taken for one of mmagic's."""
    if isinstance(network, S2SVRNet):
        return InputRequirements(1, 1, 1)
    # SPyNet's pyramid; BasicVSR++ at scale 1 computes flows on frames of a quarter of the size.
    side = 64 if getattr(network, 'is_low_res_input', True) else 256
    # EDVR, which IconVSR's keyframes go through, sees 5 frames.
    frames = 5 if hasattr(network, 'keyframe_stride') else 2
    return InputRequirements(side, 4, frames)


def padded(clip: Tensor, needs: InputRequirements) -> Tensor:
    """A clip (1, t, 3, h, w) as a network needs it, mirrored at its ends."""
    height, width = (
        max(length + -length % needs.multiple, needs.side) for length in clip.shape[-2:]
    )
    for axis, wanted in ((1, needs.frames), (3, height), (4, width)):
        length = clip.shape[axis]
        if wanted > length:
            index = torch.arange(wanted, device=clip.device) % (2 * length)
            clip = clip.index_select(
                axis, torch.where(index < length, index, 2 * length - 1 - index)
            )
    return clip
