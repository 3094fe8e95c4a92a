# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What is wrong with the pictures of a clip, as data and in words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

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

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> 'Damage':
        """Read what ``dataclasses.asdict`` made, from JSON."""
        missing, concealed, dependent = (
            tuple(data[key]) for key in ('missing', 'concealed', 'dependent')
        )
        return cls(missing, concealed, dependent, data['lost'], data['cut_off'])

    def joined(self, other: 'Damage') -> 'Damage':
        """Return what either of two readings of a clip has found."""
        return Damage(
            missing=tuple(sorted({*self.missing, *other.missing})),
            concealed=tuple(sorted({*self.concealed, *other.concealed})),
            dependent=tuple(sorted({*self.dependent, *other.dependent})),
            lost=max(self.lost, other.lost),
            cut_off=self.cut_off or other.cut_off,
        )

    def within(self, start: int, stop: int | None) -> 'Damage':
        """Return what concerns the frames from a number to before another; None is the end."""

        def inside(numbers: Iterable[int]) -> tuple[int, ...]:
            return tuple(n for n in numbers if start <= n and (stop is None or n < stop))

        return Damage(
            missing=inside(self.missing),
            concealed=inside(self.concealed),
            dependent=inside(self.dependent),
            lost=self.lost if stop is None else 0,
            cut_off=self.cut_off if stop is None else '',
        )

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
