# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Decoding, the network and encoding side by side, segment by segment."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from tqdm import tqdm

from ..errors import DataError
from ..io.damage import Damage
from ..io.reader import Frame, FrameSizeError, Reader
from ..io.timeline import Timeline
from .claims import Claims
from .restorer import VideoRestorer
from .resume import Beginning, Ending, ResumeFolder, SegmentNote
from .scene_cuts import mark_cuts
from .sinks import Sink
from .threads import BackgroundCalls, Prefetcher
from .windows import Segments

_FRAMES_AHEAD = 4


@dataclass(frozen=True)
class Stretch:
    """Frames of a video that become one output.

    Attributes:
        reader (Reader): The video.
        start (int): Number of the first frame.
        stop (int, optional): Number after the last one; None for the end.
        timeline (Timeline, optional): When frames are shown; None for one a tick.
        resize (bool): Whether frames of another size than the first one are scaled to that.
            Otherwise the output ends before them.
    """

    reader: Reader
    start: int
    stop: int | None
    timeline: Timeline | None
    resize: bool

    @property
    def num_frames(self) -> int:
        """Number of frames, unless they end before one of another size."""
        end = self.reader.num_frames
        return (end if self.stop is None else min(end, self.stop)) - self.start

    def time(self, index: int) -> int:
        """When a frame is shown, in ticks from the source's first frame."""
        return index if self.timeline is None else self.timeline.time(index)

    def within(self, damage: Damage, next_frame: int | None) -> Damage:
        """Return the damage that concerns the output; it may end before a frame of another size."""
        stop = self.stop if next_frame is None else next_frame
        beyond = stop is None or stop > self.reader.num_frames
        return damage.within(self.start, None if beyond else stop)

    def fingerprint(self, first: int, stop: int | None) -> str:
        """Hash of the input's content from a frame to before another, counted from the start."""
        until = self.stop if stop is None else self.start + stop
        return self.reader.fingerprint(max(self.start + first, 0), until)


class FrameStream:
    """Frames of a stretch from one on, all of one size.

    Args:
        stretch (Stretch): The stretch.
        first (int): Number of the first frame, counted from the start of the stretch.
        size (tuple[int, int]): Height and width that the frames must have.

    Attributes:
        next_frame (int, optional): Number of the frame of another size that ended the stream.
        resized (set[int]): Numbers of frames that were scaled.
    """

    def __init__(self, stretch: Stretch, first: int, size: tuple[int, int]) -> None:
        self._stretch, self._first, self._size = stretch, first, size
        self.next_frame: int | None = None
        self.resized: set[int] = set()

    def marked(self, reach: int) -> Iterator[tuple[Frame, bool]]:
        """Yield each frame and whether a scene begins with it.

        Args:
            reach (int): Frames on either side that are looked at; 0 for no scene cuts.
        """
        first = self._stretch.start + self._first
        before: list[Frame] = []
        # Those before the stretch may be damaged, and are not in the output.
        with suppress(DataError):
            before = self._stretch.reader.read(range(max(first - reach, 0), first))
        yield from mark_cuts(
            self, lambda frame: frame.rgb, [frame.rgb for frame in before], enabled=reach > 0
        )

    def __iter__(self) -> Iterator[Frame]:
        start: int | None = self._stretch.start + self._first
        while start is not None:
            start = yield from self._until_size_changes(start)

    def _until_size_changes(self, start: int) -> Generator[Frame, None, int | None]:
        try:
            for frame in self._stretch.reader.iterate(start, self._stretch.stop):
                if frame.rgb.shape[:2] != self._size:
                    if not self._stretch.resize:
                        self.next_frame = frame.index
                        return None
                    frame = self._scaled(frame)
                yield frame
        except FrameSizeError as error:
            return error.index
        return None

    def _scaled(self, frame: Frame) -> Frame:
        self.resized.add(frame.index)
        height, width = self._size
        smaller = frame.rgb.shape[0] * frame.rgb.shape[1] > height * width
        method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        return replace(frame, rgb=cv2.resize(frame.rgb, (width, height), interpolation=method))


@dataclass(frozen=True)
class SegmentJob:
    """A stretch whose segments are to be restored.

    Attributes:
        restorer (VideoRestorer): The network with its settings.
        stretch (Stretch): The frames.
        sinks (Sequence[Sink]): Where restored frames go.
        parts (ResumeFolder): Where it is written down what is done.
        beginning (Beginning): What was settled before.
        claims (Claims): Which segments are whose.
        bar (tqdm): Shows the progress.
    """

    restorer: VideoRestorer
    stretch: Stretch
    sinks: Sequence[Sink]
    parts: ResumeFolder
    beginning: Beginning
    claims: Claims
    bar: tqdm


def restore_segments(job: SegmentJob) -> Ending:
    """Restore all segments that are missing, beside other processes that do the same.

    Args:
        job (SegmentJob): What there is to do.

    Returns:
        Ending: What was learnt, by all processes.

    Raises:
        DataError: A frame can't be read, or there is none.
        FinishedElsewhereError: Others have made the output.
    """
    with job.claims as claims:
        while (first := claims.next_run()) is not None:
            _restore_run(job, first)
    return _ending(job.stretch, job.claims)


def _restore_run(job: SegmentJob, first: int) -> None:
    """Restore segments in a row, from one on until the next one is done or another process's."""
    stretch, sinks, claims = job.stretch, job.sinks, job.claims
    segments = claims.segments
    begin = segments.first_window(first)
    fresh = stretch.start + segments.frames_before(first)
    stream = FrameStream(stretch, begin * segments.plan.step, job.beginning.size)
    pending: deque[tuple[Frame, bool]] = deque()
    cuts: list[int] = []
    segment = first
    count = resized = 0
    stopped = False
    with ExitStack() as stack:
        for sink in sinks:
            stack.callback(sink.abandon)
        source = Prefetcher(stream.marked(segments.reach), _FRAMES_AHEAD)
        stack.callback(source.close)
        writer = BackgroundCalls(segments.plan.step)
        stack.callback(writer.abandon)

        def each(call: Callable[[Sink], object]) -> None:
            writer.add(lambda: [call(sink) for sink in sinks])

        def finish(is_last: bool) -> None:
            note = SegmentNote(
                content=_input(stretch, segments, segment, is_last),
                damage=stretch.reader.damage or Damage(),
                frames=count,
                is_last=is_last,
                next_frame=stream.next_frame if is_last else None,
                resized=resized,
                cuts=tuple(cuts),
            )
            # First, for a segment whose input is not known is restored again.
            writer.add(partial(job.parts.note, segment, note))
            cuts.clear()
            each(lambda sink: sink.finish())
            writer.add(partial(claims.finish, segment, note))

        def arriving() -> Iterator[tuple[np.ndarray, bool]]:
            for frame, starts in source:
                if frame.index >= fresh:
                    pending.append((replace(frame, time=stretch.time(frame.index)), starts))
                yield frame.rgb, starts

        def proceed(number: int) -> bool:
            nonlocal stopped
            following, inside = divmod(begin + number, segments.length)
            stopped = inside == 0 and following > first and not claims.proceed(following)
            return not stopped

        decision = job.beginning.decision
        restored = job.restorer.restore_windows(arriving(), decision, first > 0, proceed)
        try:
            for number, window in enumerate(restored, first * segments.length):
                if number % segments.length == 0:
                    if count:
                        finish(is_last=False)
                    segment, count, resized = number // segments.length, 0, 0
                    each(partial(_start, segment))
                for image in window:
                    frame, starts = pending.popleft()
                    if starts and frame.index > stretch.start:
                        cuts.append(frame.index)
                    each(partial(_write, frame, image))
                    resized += frame.index in stream.resized
                    stream.resized.discard(frame.index)
                    writer.add(job.bar.update)
                count += len(window)
        except DataError:
            # The input can be repaired, and then all that waits to be written is of use.
            writer.finish()
            raise
        if not count and stream.next_frame is not None:
            # Another process finds the change of size, and with it the end of the output.
            claims.end_before(first, stream.next_frame - stretch.start)
            return
        if not count:
            raise DataError(f'{stretch.reader.path} ends before frame {fresh}.')
        finish(is_last=not stopped)
        writer.finish()


def _ending(stretch: Stretch, claims: Claims) -> Ending:
    """Put together what all processes have learnt."""
    segment = claims.count - 1
    notes = [claims.notes[number] for number in range(claims.count)]
    frames = claims.segments.frames_before(segment) + notes[-1].frames
    damage = stretch.reader.damage or Damage()
    for note in notes:
        damage = damage.joined(note.damage)
    flaws = stretch.within(damage, notes[-1].next_frame)
    told = f'{stretch.reader.path}: {flaws}' if flaws else None
    return Ending(
        segments=claims.count,
        frames=frames,
        end_time=stretch.time(stretch.start + frames),
        damage=told if flaws.is_incomplete else None,
        flaws=None if flaws.is_incomplete else told,
        next_frame=notes[-1].next_frame,
        resized=sum(note.resized for note in notes),
        cuts=tuple(cut for note in notes for cut in note.cuts),
    )


def _start(segment: int, sink: Sink) -> None:
    sink.start(segment)


def _write(frame: Frame, image: np.ndarray, sink: Sink) -> None:
    sink.write(frame, image)


def _input(stretch: Stretch, segments: Segments, segment: int, is_last: bool) -> str:
    """Fingerprint of the content that a segment is made of."""
    start, stop = segments.needs(segment)
    return stretch.fingerprint(start, None if is_last else stop)


def check_segments(
    stretch: Stretch, sinks: Sequence[Sink], parts: ResumeFolder, segments: Segments, discard: bool
) -> None:
    """Check that existing segments were made from the input as it is now.

    Args:
        stretch (Stretch): The frames.
        sinks (Sequence[Sink]): Where restored frames went.
        parts (ResumeFolder): Where it is written down what was done.
        segments (Segments): How windows are grouped.
        discard (bool): Whether to throw away those that are not whole or of another input;
            otherwise other processes are at work, whose input has to be the same.

    Raises:
        DataError: Other processes restore a different input.
    """
    count = segments.count(stretch.num_frames)
    for number in parts.noted():
        note = parts.note_of(number)
        if number < count and note is not None and _fits(stretch, segments, number, note):
            if not discard or all(sink.has_segment(number) for sink in sinks):
                continue
        elif not discard:
            raise DataError(
                f'{stretch.reader.path} is not what another process is restoring to '
                f'{parts.folder}: it changed, or is another file on this machine'
            )
        parts.forget(number)
        for sink in sinks:
            sink.discard(number)


def _fits(stretch: Stretch, segments: Segments, number: int, note: SegmentNote) -> bool:
    beyond = stretch.stop is not None and stretch.start + segments.needs(number)[1] > stretch.stop
    if beyond and not note.is_last:
        return False
    return note.content == _input(stretch, segments, number, note.is_last)
