# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The size of restored frames, and the network that is taken for it; nothing heavy is imported."""

import re
from dataclasses import dataclass
from fractions import Fraction

from ..checkpoints.shipped import DEFAULT_MODEL, DEFAULT_MODELS
from ..errors import ConfigError

LARGEST_SCALE, _LARGEST_SIDE = 16, 65535


@dataclass(frozen=True)
class OutputSize:
    """A size to be reached: a scale, a height with the width that goes with it, or both sides.

    Attributes:
        scale (int, optional): Factor by which each side grows.
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
        match = re.fullmatch(r'([0-9]{1,9})(?:p|x([0-9]{1,9})?)', text)
        if not match:
            raise ConfigError(f'a size is 1920x1080, 1080p or 2x, but got {text!r}')
        numbers = [int(number) for number in match.groups() if number is not None]
        what, most = ('scale', LARGEST_SCALE) if text.endswith('x') else ('side', _LARGEST_SIDE)
        if not all(1 <= number <= most for number in numbers):
            raise ConfigError(f'{text!r}: a {what} is from 1 to {most}')
        if len(numbers) == 2:
            return cls(width=numbers[0], height=numbers[1])
        return cls(height=numbers[0]) if text.endswith('p') else cls(scale=numbers[0])

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

    def factor(self, height: int, width: int) -> Fraction:
        """Return the factor by which the side that grows most has to grow.

        Args:
            height (int): Height of the input.
            width (int): Width of the input.
        """
        if self.scale is not None:
            return Fraction(self.scale)
        assert self.height is not None
        # A width that goes with the height is rounded, and does not count.
        return max(Fraction(self.height, height), Fraction(self.width or 0, width))


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
        ConfigError: The size is not valid, or several inputs would need several networks.
    """
    if size is None:
        return DEFAULT_MODEL
    wanted = OutputSize.parse(size)
    if wanted.scale is None and frame is None:
        raise ConfigError(
            f'all videos of a folder are restored by one network: with --size {size}, choose it '
            'with --model'
        )
    needed = wanted.factor(*(frame or (1, 1)))
    enough = [scale for scale in sorted(DEFAULT_MODELS) if scale >= needed]
    return DEFAULT_MODELS[enough[0] if enough else max(DEFAULT_MODELS)]
