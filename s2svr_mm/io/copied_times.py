# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""When the packets of sound and subtitles are shown on a video's timeline."""

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction

from .timeline import FALL, PAUSE, Stamp, Timeline, find_jumps, typical


def copied_times(
    stamps: Sequence[Stamp], base: Fraction, timeline: Timeline, continuous: bool
) -> list[int]:
    """Find when the packets of another stream of the file are decoded.

    A stream follows the jumps of the video where its own clock jumps, which need not be at the
    very place in the file. Where it jumps alone it just goes on.

    Args:
        stamps (Sequence[Stamp]): Of all packets of the stream, in the order of the file.
        base (Fraction): Seconds of one of its ticks.
        timeline (Timeline): The video's.
        continuous (bool): Whether packets follow one another, as those of sound do.

    Returns:
        list[int]: Ticks from the video's first frame.
    """
    clock = _Clock(base, timeline)
    keys = [stamp.pts if stamp.dts is None else stamp.dts for stamp in stamps]
    step = typical(keys, 1)
    wrong = find_jumps(keys, base, step, FALL / base)[1] if continuous else set[int]()
    times: list[int] = []
    expected: int | None = None
    current: int | None = None
    for i, (stamp, key) in enumerate(zip(stamps, keys, strict=True)):
        run = None
        here = clock.run_at(stamp.position)
        if key is not None and i not in wrong:
            if continuous and expected is not None and current is not None:
                run = clock.following(key, current, here, expected)
            else:
                run = clock.nearest(key, here)
        if key is None or run is None:
            times.append(expected or 0)
        else:
            times.append(key + clock.offsets[run])
            current = run
        expected = times[-1] + (stamp.duration or step)
    return times


class _Clock:
    """The runs of a timeline, in the ticks of another stream."""

    def __init__(self, base: Fraction, timeline: Timeline) -> None:
        ratio = timeline.base / base
        self.offsets = [round((run.start - run.low) * ratio) for run in timeline.runs]
        self._starts = [round(run.start * ratio) for run in timeline.runs]
        self._stops = [round(run.stop * ratio) for run in timeline.runs]
        self._positions = [run.position for run in timeline.runs]
        self._pause, self._jitter = round(PAUSE / base), round(FALL / base)

    def run_at(self, position: int) -> int:
        """Return the run of the video in a place of the file."""
        return max(bisect_right(self._positions, position) - 1, 0)

    def nearest(self, stamp: int, here: int) -> int:
        """Return the run for a packet that follows none: the one here unless out of its bounds."""

        def outside(number: int) -> int:
            time = stamp + self.offsets[number]
            return max(self._starts[number] - time, time - self._stops[number], 0)

        near = [n for n in (here, here - 1, here + 1) if 0 <= n < len(self.offsets)]
        return min(near, key=outside)

    def following(self, stamp: int, current: int, here: int, expected: int) -> int | None:
        """Return the run for a packet that follows another; None if its clock jumped by itself."""

        def fits(number: int) -> bool:
            time = stamp + self.offsets[number]
            if number == current:
                return expected - self._jitter <= time <= self._stops[-1]
            within = self._starts[number] - self._pause, self._stops[number] + self._pause
            return within[0] <= time <= within[1]

        if -self._jitter <= stamp + self.offsets[current] - expected <= self._pause:
            return current
        near = [n for n in range(current, min(here + 2, len(self.offsets))) if fits(n)]
        return min(near, key=lambda n: abs(stamp + self.offsets[n] - expected), default=None)
