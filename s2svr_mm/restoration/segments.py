# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Decoding, the network and encoding side by side, segment by segment."""

import math
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
from .restorer import VideoRestorer
from .resume import Beginning, Ending, ResumeFolder
from .scene_cuts import REACH, mark_cuts
from .sinks import Sink
from .threads import BackgroundCalls, Prefetcher
from .windows import TilingPlan

_FRAMES_AHEAD = 4


@dataclass(frozen=True)
class Segments:
    """How windows are grouped: what lies in whole segments need not be restored again.

    Attributes:
        plan (TilingPlan): The windows.
        length (int): Windows of a segment.
        reach (int): Frames on either side of one that tell whether a scene begins with it.
    """

    plan: TilingPlan
    length: int
    reach: int = 0

    @classmethod
    def of(cls, plan: TilingPlan, frames: int, scene_cuts: bool) -> 'Segments':
        """Group windows into segments of about so many frames."""
        return cls(plan, math.ceil(frames / plan.step), REACH if scene_cuts else 0)

    def first_window(self, segment: int) -> int:
        """Return the window to begin with: the one before the segment's, as it fades into them."""
        return max(segment * self.length - 1, 0)

    def frames_before(self, segment: int) -> int:
        """Return the number of frames in the segments before."""
        return self.plan.frames_before(segment * self.length)

    def needs(self, segment: int) -> tuple[int, int]:
        """First frame, and the one after the last, that a segment's content depends on.

        The first one may lie before the first of all.
        """
        last = (segment + 1) * self.length - 1
        # One more: that there is one tells the window from a last one.
        stop = last * self.plan.step + self.plan.window + 1
        return self.first_window(segment) * self.plan.step - self.reach, stop + self.reach


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
        resized (int): Number of frames that were scaled.
    """

    def __init__(self, stretch: Stretch, first: int, size: tuple[int, int]) -> None:
        self._stretch, self._first, self._size = stretch, first, size
        self.next_frame: int | None = None
        self.resized = 0

    def marked(self, reach: int) -> Iterator[tuple[Frame, bool]]:
        """Yield each frame and whether a scene begins with it.

        Args:
            reach (int): Frames on either side that are looked at; 0 for no scene cuts.
        """
        if not reach:
            yield from ((frame, False) for frame in self)
            return
        first = self._stretch.start + self._first
        before: list[Frame] = []
        # Those before the stretch may be damaged, and are not in the output.
        with suppress(DataError):
            before = self._stretch.reader.read(range(max(first - reach, 0), first))
        yield from mark_cuts(self, lambda frame: frame.rgb, [frame.rgb for frame in before])

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
        self.resized += 1
        height, width = self._size
        smaller = frame.rgb.shape[0] * frame.rgb.shape[1] > height * width
        method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
        return replace(frame, rgb=cv2.resize(frame.rgb, (width, height), interpolation=method))


def restore_segments(
    restorer: VideoRestorer,
    stretch: Stretch,
    sinks: Sequence[Sink],
    parts: ResumeFolder,
    beginning: Beginning,
    segments: Segments,
    done: int,
    bar: tqdm,
) -> Ending:
    """Restore from a segment on, and write down the end.

    Args:
        restorer (VideoRestorer): The network with its settings.
        stretch (Stretch): The frames.
        sinks (Sequence[Sink]): Where restored frames go.
        parts (ResumeFolder): Where it is written down what is done.
        beginning (Beginning): What was settled before.
        segments (Segments): How windows are grouped.
        done (int): Number of segments that are there.
        bar (tqdm): Shows the progress.

    Returns:
        Ending: What was learnt.

    Raises:
        DataError: A frame can't be read, or there is none.
    """
    count = segments.frames_before(done)
    fresh = stretch.start + count
    stream = FrameStream(stretch, segments.first_window(done) * segments.plan.step, beginning.size)
    pending: deque[tuple[Frame, bool]] = deque()
    cuts: list[int] = []
    last: Frame | None = None
    segment = done
    # By the calls before this one, which have read other frames.
    found = parts.input_of(done - 1)[1] if done else Damage()
    with ExitStack() as stack:
        for sink in sinks:
            stack.callback(sink.abandon)
        source = Prefetcher(stream.marked(segments.reach), _FRAMES_AHEAD)
        stack.callback(source.close)
        writer = BackgroundCalls(segments.plan.step)
        stack.callback(writer.abandon)

        def each(call: Callable[[Sink], object]) -> None:
            writer.add(lambda: [call(sink) for sink in sinks])

        def damage() -> Damage:
            return found.joined(stretch.reader.damage or Damage())

        def finish(is_last: bool) -> None:
            # First, for a segment whose input is not known is restored again.
            content = _input(stretch, segments, segment, is_last)
            writer.add(partial(parts.note_input, segment, content, damage(), tuple(cuts)))
            cuts.clear()
            each(lambda sink: sink.finish())

        def arriving() -> Iterator[tuple[np.ndarray, bool]]:
            for frame, starts in source:
                if frame.index >= fresh:
                    pending.append((replace(frame, time=stretch.time(frame.index)), starts))
                yield frame.rgb, starts

        restored = restorer.restore_windows(arriving(), beginning.decision, resumed=bool(done))
        try:
            for number, window in enumerate(restored, done * segments.length):
                if number % segments.length == 0:
                    if number > done * segments.length:
                        finish(is_last=False)
                    segment = number // segments.length
                    each(partial(_start, segment))
                for image in window:
                    last, starts = pending.popleft()
                    if starts and last.index > stretch.start:
                        cuts.append(last.index)
                    each(partial(_write, last, image))
                    writer.add(bar.update)
                count += len(window)
        except DataError:
            # The input can be repaired, and then all that waits to be written is of use.
            writer.finish()
            raise
        if last is None:
            raise DataError(f'{stretch.reader.path} ends before frame {fresh}.')
        finish(is_last=True)
        writer.finish()
    flaws = stretch.within(damage(), stream.next_frame)
    told = f'{stretch.reader.path}: {flaws}' if flaws else None
    ending = Ending(
        segments=segment + 1,
        frames=count,
        end_time=stretch.time(last.index + 1),
        damage=told if flaws.is_incomplete else None,
        flaws=None if flaws.is_incomplete else told,
        next_frame=stream.next_frame,
        resized=stream.resized,
        cuts=tuple(cut for number in range(segment + 1) for cut in parts.cuts_of(number)),
    )
    parts.end(ending)
    return ending


def _start(segment: int, sink: Sink) -> None:
    sink.start(segment)


def _write(frame: Frame, image: np.ndarray, sink: Sink) -> None:
    sink.write(frame, image)


_LAST = 'last '


def _input(stretch: Stretch, segments: Segments, segment: int, is_last: bool) -> str:
    """Return what a segment is made of: content of the frames, whether the video ends there."""
    start, stop = segments.needs(segment)
    if is_last:
        return _LAST + stretch.fingerprint(start, None)
    return stretch.fingerprint(start, stop)


def whole_segments(
    stretch: Stretch, sinks: Sequence[Sink], parts: ResumeFolder, segments: Segments
) -> int:
    """Count the segments of an earlier run that are whole and made of what the input holds now.

    Args:
        stretch (Stretch): The frames.
        sinks (Sequence[Sink]): Where restored frames went.
        parts (ResumeFolder): Where it is written down what was done.
        segments (Segments): How windows are grouped.

    Returns:
        int: Number of segments to keep; all others are thrown away, and with them the end.
    """
    count = 0
    while _is_usable(stretch, sinks, parts, segments, count):
        count += 1
    for number in parts.noted_inputs():
        if number >= count:
            parts.forget(number)
            for sink in sinks:
                sink.discard(number)
    return count


def _is_usable(
    stretch: Stretch, sinks: Sequence[Sink], parts: ResumeFolder, segments: Segments, number: int
) -> bool:
    noted, _ = parts.input_of(number)
    if not noted or not all(sink.has_segment(number) for sink in sinks):
        return False
    is_last = noted.startswith(_LAST)
    if is_last and parts.ending is None:
        return False
    beyond = stretch.stop is not None and stretch.start + segments.needs(number)[1] > stretch.stop
    if beyond and not is_last:
        return False
    return noted == _input(stretch, segments, number, is_last)
