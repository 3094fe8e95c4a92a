# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""One clock for a video's frames and for what is copied beside them, whatever its own clock did.

Time stamps of files start anywhere, wrap around (33 bits in MPEG-TS), fall where recordings were
joined, leap where a recorder was off, are doubled, wrong or missing. :func:`timeline_of` turns the
stamps of all packets into times of the frames that start at 0 and rise. The stretches of the file
between two jumps are its runs: each has what must be added to its clock, and
:func:`.copied_times.copied_times` adds the same to the packets of other streams. All of it depends
on the file alone, so calls that restore different segments of it agree.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, pairwise
from statistics import median
from typing import NamedTuple

from .media import plausible_rate

# Within these a clock may stumble without having been set anew, as players have it.
FALL, LEAP = Fraction(1, 10), Fraction(10)
# A leap of the clock up to so many seconds is taken as it is.
PAUSE = Fraction(1)
# Frames whose usual duration a leap of the clock is longer than.
_SLOW = 5
# Packets after which a wrong time stamp has been followed by a right one.
_GLITCH = 3
# Packets by which those of a file may be out of the order of showing.
REORDERED = 16
# Jumps that a note lists one by one.
_TOLD = 3
_RATES = [Fraction(rate) for rate in (24, 25, 30, 48, 50, 60, 100, 120, 15, 10)]
_RATES += [Fraction(rate * 1000, 1001) for rate in (24, 30, 60, 120)]


class Stamp(NamedTuple):
    """Time stamps of a packet or a frame, in ticks.

    Attributes:
        pts (int, optional): When it is shown.
        dts (int, optional): When it is decoded.
        duration (int): How long it is shown; 0 if unknown.
        position (int): Where it lies in the file, bytes.
    """

    pts: int | None
    dts: int | None
    duration: int = 0
    position: int = 0


@dataclass(frozen=True)
class Run:
    """A stretch of a file between two jumps of its clock.

    Attributes:
        first (int): Number of its first frame.
        position (int): Where its first packet lies in the file, bytes.
        low (int): Time stamp of its first frame, ticks of the file's clock.
        start (int): When its first frame is shown, ticks from the video's first frame.
        stop (int): When its last frame ends, ticks from the video's first frame.
    """

    first: int
    position: int
    low: int
    start: int
    stop: int


@dataclass(frozen=True)
class Timeline:
    """When frames and the packets of other streams are shown.

    Attributes:
        base (Fraction): Seconds of one tick.
        times (list[int]): When each frame is shown, in order, ticks; the first at 0.
        end (int): When the last frame ends, ticks.
        runs (list[Run]): The stretches between jumps of the file's clock.
        copied (Mapping[int, Sequence[int]]): For each other stream when its packets are decoded,
            in the order of the file, ticks of that stream from the video's first frame.
        lead (Fraction): How much earlier than the first frame the sound starts, seconds.
    """

    base: Fraction
    times: list[int]
    end: int
    runs: list[Run]
    copied: Mapping[int, Sequence[int]] = field(default_factory=dict)
    lead: Fraction = Fraction(0)

    @property
    def notes(self) -> list[str]:
        """What was bridged."""
        jumps = [
            f'by {float((run.low - before.low - (run.start - before.start)) * self.base):+.3f} s '
            f'at frame {run.first}'
            for before, run in pairwise(self.runs)
        ]
        more = f' and {len(jumps) - _TOLD} more times' if len(jumps) > _TOLD else ''
        told = ', '.join(jumps[:_TOLD])
        return [f"the file's clock jumps {told}{more}; bridged"] if jumps else []

    def map(self, time: Fraction) -> Fraction:
        """Map a time of the file's clock to when it is shown, both in seconds."""
        ticks = time / self.base
        for run in self.runs:
            if run.low <= ticks <= run.low + run.stop - run.start:
                return (run.start + ticks - run.low) * self.base
        return (ticks - self.runs[0].low) * self.base

    def rate(self, hint: Fraction) -> Fraction:
        """Find the rate of frames that lie on an even grid, or else that on average.

        Args:
            hint (Fraction): What the file says it is.

        Returns:
            Fraction: Frames per second.
        """
        steps = [b - a for a, b in pairwise(self.times)]
        measured = 1 / (Fraction(median(steps) if steps else self.end) * self.base)
        average = Fraction(len(self.times), 1) / (max(self.end, 1) * self.base)
        # The usual step is rounded to ticks, the average knows pauses.
        rates = [rate for rate in (hint, *_RATES, measured) if rate == plausible_rate(rate)]
        near = [
            rate
            for rate in rates
            if min(abs(measured / rate - 1), abs(average / rate - 1)) < Fraction(1, 10)
        ]
        off = {rate: error for rate in near if (error := self._off_grid(rate)) is not None}
        if hint in off:
            return hint
        average = plausible_rate(average.limit_denominator(1001))
        return min(off, key=off.__getitem__, default=average)

    def time(self, number: int) -> int:
        """When a frame is shown, ticks; frames without a packet follow at even steps."""
        if number < len(self.times):
            return self.times[number]
        step = self.end - self.times[-1] if self.times else round(1 / self.base)
        return self.end + (number - len(self.times)) * step

    def is_even(self, rate: Fraction) -> bool:
        """Whether all frames last as long as one of a rate, but for rounding."""
        return self._off_grid(rate) is not None and self._slots(rate)[-1] == len(self.times) - 1

    def _slots(self, rate: Fraction) -> list[int]:
        """Return the nearest places of the frames on an even grid."""
        factor = rate * self.base
        over, under = 2 * factor.numerator, 2 * factor.denominator
        return [(time * over + factor.denominator) // under for time in self.times]

    def _off_grid(self, rate: Fraction) -> float | None:
        """How far off an even grid frames are, ticks; None if they are not on one.

        Places of the grid may be empty.
        """
        slots = self._slots(rate)
        period = float(1 / (rate * self.base))
        off = max(abs(t - slot * period) for t, slot in zip(self.times, slots, strict=True))
        rises = all(b > a for a, b in pairwise(slots))
        return off if rises and off <= max(period / 5, 1) else None


def timeline_of(
    stamps: Sequence[Stamp],
    base: Fraction,
    nominal: int,
    is_jump: Callable[[Fraction, Fraction], bool] | None = None,
) -> Timeline:
    """Find the times of a video's frames.

    Args:
        stamps (Sequence[Stamp]): Of all packets of the video that hold a frame, in the order of
            the file, or of all decoded frames.
        base (Fraction): Seconds of one tick.
        nominal (int): Duration of a frame where nothing else tells it, ticks.
        is_jump (Callable, optional): Whether a leap forward, from one time of the file's clock to
            another in seconds, is a jump of the clock and not a frame that is shown so long.
            None for never.

    Returns:
        Timeline: As many frames as ``stamps``.
    """
    keys, step, fall = _keys(stamps, base, max(nominal, 1))
    starts, wrong = find_jumps(keys, base, step, fall, is_jump)
    times: list[int] = []
    runs: list[Run] = []
    start = 0
    for first, stop in zip(starts, [*starts[1:], len(stamps)], strict=True):
        part = range(first, stop)
        told = [None if i in wrong else _shown(stamps, i, stop, base) for i in part]
        shown = _shown_times(told, step)
        last = [stamps[i].duration for i, t in zip(part, told, strict=True) if t == shown[-1]]
        times += [start + time - shown[0] for time in shown]
        end = times[-1] + (max(last, default=0) or step)
        runs.append(Run(first, stamps[first].position, shown[0], start, end))
        start = end
    return Timeline(base, times, start, runs)


def _keys(
    stamps: Sequence[Stamp], base: Fraction, nominal: int
) -> tuple[list[int | None], int, Fraction]:
    """Of each packet a stamp that rises, the usual step, and what is no fall, both in ticks."""
    decoded = [stamp.dts for stamp in stamps]
    if 2 * decoded.count(None) <= len(stamps):
        return decoded, typical(decoded, nominal), FALL / base
    # Times of showing go to and fro.
    shown = [stamp.pts for stamp in stamps]
    known = sorted({key for key in shown if key is not None})
    step = typical(known, nominal) if 2 * len(known) > len(stamps) else nominal
    return shown, step, max(FALL / base, Fraction(REORDERED * step))


def typical(times: Sequence[int | None], nominal: int) -> int:
    """Return the usual step between times that rise, or else the nominal one."""
    steps = [b - a for a, b in pairwise(times) if a is not None and b is not None and b > a]
    return max(round(median(steps)), 1) if steps else nominal


def _shown(stamps: Sequence[Stamp], number: int, stop: int, base: Fraction) -> int | None:
    """When a frame says that it is shown, if that can be."""
    stamp = stamps[number]
    if stamp.pts is None or stamp.dts is None:
        return stamp.dts if stamp.pts is None else stamp.pts
    # The frames that it is decoded before are decoded by then, but for the last ones.
    later = number + REORDERED
    limit = stamps[later].dts if later < stop else stamps[stop - 1].dts
    margin = PAUSE if later < stop else LEAP
    late = limit is not None and (stamp.pts - limit) * base > margin
    return None if late or (stamp.dts - stamp.pts) * base > PAUSE else stamp.pts


def find_jumps(
    keys: Sequence[int | None],
    base: Fraction,
    step: int,
    fall: Fraction,
    is_jump: Callable[[Fraction, Fraction], bool] | None = None,
) -> tuple[list[int], set[int]]:
    """Return the packets with which a clock starts, and those whose time stamps are wrong."""
    starts, wrong = [0][: len(keys)], set[int]()
    last: int | None = None
    place = 0
    for i, key in enumerate(keys):
        if key is None or i in wrong:
            continue
        if last is not None:
            gap = (key - last) * base
            if key - last < -fall or gap > PAUSE:
                if back := _comes_back(keys, i, last, step * (i - place), step):
                    wrong.update(range(i, back))
                    continue
                longer = gap > max(LEAP, _SLOW * step * base)
                if gap < 0 or (longer and is_jump and is_jump(last * base, key * base)):
                    starts.append(i)
        last, place = key, i
    return starts, wrong


def _comes_back(keys: Sequence[int | None], i: int, last: int, away: int, step: int) -> int | None:
    """Return the packet with which the clock goes on as if nothing had been."""
    for later in range(i + 1, min(i + 1 + _GLITCH, len(keys))):
        key = keys[later]
        expected = last + away + (later - i) * step
        if key is not None and key > last and abs(key - expected) <= 1.5 * step:
            return later
    return None


def _shown_times(times: Sequence[int | None], step: int) -> list[int]:
    """Sort; a frame whose time is missing or doubled goes to where one is wanting near it."""
    told = [i for i, time in enumerate(times) if time is not None]
    if not told:
        return [step * i for i in range(len(times))]
    known = sorted({time for time in times if time is not None})
    widths = [b - a for a, b in pairwise(known)]
    wanting = [max(round(width / step) - 1, 0) for width in widths]
    added = [0] * len(widths)
    early = late = near = 0
    seen = set()
    for i, time in enumerate(times):
        if time is not None and time not in seen:
            seen.add(time)
            near = bisect_left(known, time)
            continue
        around = range(max(near - REORDERED, 0), min(near + REORDERED, len(widths)))
        lacks = [gap for gap in around if added[gap] < wanting[gap]]
        if lacks:
            added[min(lacks, key=lambda gap: abs(gap - near))] += 1
        elif i < told[0]:
            early += 1
        elif i > told[-1] or not around:
            late += 1
        else:
            added[max(around, key=lambda gap: widths[gap] / (added[gap] + 1))] += 1
    shown = [known[0] - step * k for k in range(early, 0, -1)]
    for start, width, more in zip(known, widths, added, strict=False):
        shown += [start + width * k // (more + 1) for k in range(more + 1)]
    shown += [known[-1] + step * k for k in range(late + 1)]
    # Times must rise, or no container takes the frames.
    return list(accumulate(shown, lambda before, time: max(before + 1, time)))
