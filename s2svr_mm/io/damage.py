# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What is wrong with the pictures of a clip, as data and in words."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

_TOLD = 4


@dataclass(frozen=True)
class Damage:
    """Frames of a clip that are not as they were made, by their numbers.

    Attributes:
        missing: No picture can be decoded for them; the one before stands in.
        concealed: The decoder made up parts of them.
        dependent: They are predicted from such frames, so they may show the damage too.
        lost: How many more pictures can't be decoded, though their place isn't known.
        cut_off: What shows that frames are missing at the end of the file; empty if nothing does.
    """

    missing: tuple[int, ...] = ()
    concealed: tuple[int, ...] = ()
    dependent: tuple[int, ...] = ()
    lost: int = 0
    cut_off: str = ''

    @property
    def is_incomplete(self) -> bool:
        """Whether there are frames of which no picture is left."""
        return bool(self.missing or self.lost or self.cut_off)

    def __bool__(self) -> bool:
        return self.is_incomplete or bool(self.concealed or self.dependent)

    def __str__(self) -> str:
        told = [
            f'{_count(self.missing)} missing ({_ranges(self.missing)}; the picture before stands '
            'in)'
            if self.missing
            else '',
            f'{_count(self.concealed)} damaged and concealed ({_ranges(self.concealed)})'
            if self.concealed
            else '',
            f'{_count(self.dependent)} predicted from such ({_ranges(self.dependent)})'
            if self.dependent
            else '',
            f"{self.lost} more pictures can't be decoded" if self.lost else '',
            self.cut_off,
        ]
        return ', '.join(filter(None, told))


def _count(numbers: tuple[int, ...]) -> str:
    return f'{len(numbers)} frame{"s" * (len(numbers) != 1)}'


def _ranges(numbers: Iterable[int]) -> str:
    """Write numbers as ranges, such as '4, 7-9'."""
    ordered = sorted(numbers)
    breaks = [i + 1 for i, (a, b) in enumerate(pairwise(ordered)) if b > a + 1]
    ranges = [ordered[a:b] for a, b in pairwise([0, *breaks, len(ordered)])]
    told = [f'{r[0]}' if len(r) == 1 else f'{r[0]}-{r[-1]}' for r in ranges[:_TOLD]]
    return ', '.join(told) + (' ...' if len(ranges) > _TOLD else '')
