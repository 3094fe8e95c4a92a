# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Which process restores which segment.

Each process takes a run of segments and continues until the next one is done or taken by another
process. So it restores just one window that is not its own: the one before its run, which fades
into it. No process waits for another: when one dies, its segments are free and others take them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from filelock import FileLock

from ..utils.output_state import OutputState
from .resume import ResumeFolder, SegmentNote, check_parts, has_begun
from .sinks import Sink
from .windows import Segments

# Interval at which an idle process looks for work.
POLL_SECONDS = 0.5
# How long the others wait for the first process to begin.
_PATIENCE_SECONDS = 60.0


class FinishedElsewhereError(Exception):
    """Other processes have made the output; there is nothing left to do."""


@dataclass(frozen=True)
class Worker:
    """One of the processes that were started to restore something together.

    Attributes:
        rank (int): Its number, from 0.
        count (int): How many there are.
    """

    rank: int = 0
    count: int = 1


class Arrival:
    """How a process comes to an output: first, while others are at work, or when they are done.

    Args:
        output (Path): The output.
        worker (Worker, optional): This process among those that work together; None for one that
            works alone.
        before (OutputState, optional): What was there when the process was started. Defaults to
            None: what is there now.
    """

    def __init__(
        self, output: Path, worker: Worker | None, before: OutputState | None = None
    ) -> None:
        self.worker = worker
        self._output = output
        self._before = before or OutputState.of(output)

    def is_late(self) -> bool:
        """Whether others have made the output since this process was started."""
        now = OutputState.of(self._output)
        return self.worker is not None and now.identity is not None and now != self._before

    def joins(self, overwrite: bool) -> bool:
        """Wait, unless this is the first of the processes, until there is work to join.

        Args:
            overwrite (bool): Whether an older output may be replaced.

        Returns:
            bool: Whether others have begun; otherwise this process begins, if no other does.

        Raises:
            FinishedElsewhereError: There is nothing left to do.
        """
        if self.worker is None:
            return False
        existed = self._before.identity is not None
        if existed and not overwrite and self._output.is_file() and self.worker.rank:
            # The first process reports that the output exists.
            raise FinishedElsewhereError
        patience = time.monotonic() + (_PATIENCE_SECONDS if self.worker.rank else 0)
        while not has_begun(self._output):
            if self.is_late():
                raise FinishedElsewhereError
            check_parts(self._output)
            if time.monotonic() >= patience:
                return False
            time.sleep(POLL_SECONDS)
        return not existed


@contextmanager
def assembling(parts: ResumeFolder) -> Iterator[None]:
    """Make the output of all segments, in one of the processes.

    Args:
        parts (ResumeFolder): The segments.

    Raises:
        FinishedElsewhereError: Another process has made it.
    """
    if not parts.is_shared:
        yield
        return
    while parts.has_begun:
        lock = parts.claim('assembly')
        if lock is None:
            # Whoever has it may die.
            time.sleep(POLL_SECONDS)
            continue
        try:
            if parts.has_begun:
                yield
                return
        finally:
            lock.release()
    raise FinishedElsewhereError


class Claims:
    """The segments of an output: done, being restored here or elsewhere, or free.

    A context manager that gives up what this process has.

    Args:
        parts (ResumeFolder): Where it is written down what is done.
        sinks (Sequence[Sink]): Where restored frames go.
        segments (Segments): How windows are grouped.
        frames (int): Number of frames, unless they end before one of another size.
        worker (Worker): This process among all of them.

    Attributes:
        segments (Segments): As above.
        count (int): Number of segments, as far as is known.
        notes (dict[int, SegmentNote]): What is known of those that are done.
        on_found (Callable[[int], object]): Called with the number of frames of a segment that
            another process has done.
    """

    def __init__(
        self,
        parts: ResumeFolder,
        sinks: Sequence[Sink],
        segments: Segments,
        frames: int,
        worker: Worker,
    ) -> None:
        self._parts, self._sinks, self._worker = parts, sinks, worker
        self._held: dict[int, FileLock | None] = {}
        self._is_first = True
        self.segments = segments
        self.count = segments.count(frames)
        self.notes: dict[int, SegmentNote] = {}
        self.on_found: Callable[[int], object] = lambda frames: None
        self._look()

    @property
    def frames_done(self) -> int:
        """Number of frames in segments that are done."""
        return sum(note.frames for number, note in self.notes.items() if number < self.count)

    def next_run(self) -> int | None:
        """Take the first segment of a run, waiting while other processes have all that is left.

        Returns:
            int | None: Its number; None if all segments are done.

        Raises:
            FinishedElsewhereError: The output has been made.
        """
        while True:
            self._look()
            missing = [n for n in range(self.count) if n not in self.notes]
            if not missing:
                return None
            if not self._parts.has_begun:
                raise FinishedElsewhereError
            for number in self._starts(missing):
                if self._take(number):
                    return number
            time.sleep(POLL_SECONDS)

    def proceed(self, number: int) -> bool:
        """Take the segment that follows one of this process; return whether it was free."""
        self._look()
        return number < self.count and number not in self.notes and self._take(number)

    def finish(self, number: int, note: SegmentNote) -> None:
        """Give up a segment of this process that is done."""
        self._note(number, note)
        self._release(number)

    def end_before(self, number: int, frames: int) -> None:
        """Give up a segment that does not exist, for there are no more than so many frames."""
        self.count = min(self.count, self.segments.count(frames))
        self._release(number)

    def _note(self, number: int, note: SegmentNote) -> None:
        self.notes[number] = note
        if note.is_last:
            self.count = min(self.count, number + 1)

    def _look(self) -> None:
        """Find segments that other processes have done."""
        for number in self._parts.noted():
            if number not in self.notes and number not in self._held and self._find(number):
                self.on_found(self.notes[number].frames)

    def _find(self, number: int) -> bool:
        note = self._parts.note_of(number)
        if note is None or not all(sink.has_segment(number) for sink in self._sinks):
            return False
        self._note(number, note)
        return True

    def _take(self, number: int) -> bool:
        if self._parts.is_shared:
            lock = self._parts.claim(f'{number:06d}')
            if lock is None:
                return False
            self._held[number] = lock
            # It may have been done since this process looked.
            if self._find(number):
                self._release(number)
                return False
        else:
            self._held[number] = None
        return True

    def _release(self, number: int) -> None:
        lock = self._held.pop(number, None)
        if lock is not None:
            lock.release()

    def _starts(self, missing: Sequence[int]) -> Iterator[int]:
        """Where to begin a run, the best place first."""
        if self._is_first:
            # At about equal distances from the others that were started.
            self._is_first = False
            yield missing[self._worker.rank * len(missing) // self._worker.count]
        busy = {number for number in missing if self._is_busy(number)}
        free = [number for number in missing if number not in busy]
        breaks = [0, *(i for i, n in enumerate(free) if i and n > free[i - 1] + 1), len(free)]
        runs = [free[a:b] for a, b in pairwise(breaks) if a < b]
        for run in sorted(runs, key=len, reverse=True):
            # Whoever has the segment before comes here by itself; the middle is farthest from both.
            yield run[len(run) // 2] if run[0] - 1 in busy else run[0]
            yield from run

    def _is_busy(self, number: int) -> bool:
        return self._parts.is_shared and self._parts.is_claimed(f'{number:06d}')

    def __enter__(self) -> 'Claims':
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._held):
            self._release(number)
