# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The size of restored frames, where it is not the one that the network makes."""

import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F

from ..checkpoints.shipped import DEFAULT_MODEL, DEFAULT_MODELS
from ..errors import ConfigError
from .predictor import PEAK

_LARGEST = 65535


@dataclass(frozen=True)
class OutputSize:
    """A size to be reached: a scale, a height with the width that goes with it, or both sides.

    Attributes:
        scale (int, optional): Size of the output over that of the input.
        height (int, optional): Height in pixels.
        width (int, optional): Width in pixels.
    """

    scale: int | None = None
    height: int | None = None
    width: int | None = None

    @classmethod
    def parse(cls, text: str) -> 'OutputSize':
        """Read ``2x``, ``1080p`` or ``1920x1080``.

        Raises:
            ConfigError: It is none of these.
        """
        match = re.fullmatch(r'([0-9]{1,5})(?:p|x([0-9]{1,5})?)', text)
        sides = [int(side) for side in match.groups() if side is not None] if match else [0]
        if min(sides) < 1 or max(sides) > _LARGEST:
            raise ConfigError(f'a size is 1920x1080, 1080p or 2x, but got {text!r}')
        if len(sides) == 2:
            return cls(width=sides[0], height=sides[1])
        return cls(height=sides[0]) if text.endswith('p') else cls(scale=sides[0])

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the output.

        Args:
            height (int): Height of the input.
            width (int): Width of the input.

        Returns:
            tuple[int, int]: Height and width. A width that goes with the height is even, as most
            encoders need it.
        """
        if self.scale is not None:
            return height * self.scale, width * self.scale
        assert self.height is not None
        if self.width is not None:
            return self.height, self.width
        return self.height, max(2 * round(Fraction(width * self.height, 2 * height)), 2)


def default_model(size: str | None, frame: tuple[int, int] | None = None) -> str:
    """Choose the bundled network that restores where none is named.

    Args:
        size (str, optional): Size to be reached, as :meth:`OutputSize.parse` reads it; None for
            the network's own.
        frame (tuple[int, int], optional): Height and width of the input. Defaults to None, several
            inputs.

    Returns:
        str: Of those that enlarge far enough the one that enlarges least; if none does, the one
        that enlarges most.

    Raises:
        ConfigError: The size is none, or several inputs would need several networks.
    """
    if size is None:
        return DEFAULT_MODEL
    wanted = OutputSize.parse(size)
    if wanted.scale is not None:
        needed = Fraction(wanted.scale)
    elif frame is None:
        raise ConfigError(
            f'all videos of a folder are restored by one network: with --size {size} name it by '
            '--model'
        )
    else:
        # A width that goes with the height is rounded.
        sides = zip(wanted.of(*frame), frame, strict=True)
        needed = max(Fraction(new, old) for new, old in islice(sides, 1 if not wanted.width else 2))
    enough = [scale for scale in sorted(DEFAULT_MODELS) if scale >= needed]
    return DEFAULT_MODELS[enough[0] if enough else max(DEFAULT_MODELS)]


def resize(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize frames by cubic interpolation, with its kernel widened where they become smaller.

    Args:
        frames (np.ndarray): (t, h, w, 3): uint8, uint16 or float32 in [0, 255].
        size (tuple[int, int]): Height and width to be.

    Returns:
        np.ndarray: (t, *size, 3) of the same type; the frames themselves if they have that size.
    """
    if frames.shape[1:3] == size:
        return frames
    peak = PEAK[frames.dtype]
    resized = np.empty((len(frames), *size, 3), frames.dtype)
    for frame, place in zip(frames, resized, strict=True):
        pixels = torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1)[None]
        pixels = F.interpolate(pixels, size, mode='bicubic', antialias=True)[0].clamp_(0, peak)
        if frames.dtype != np.float32:
            pixels.round_()
        place[...] = pixels.permute(1, 2, 0).numpy()
    return resized
