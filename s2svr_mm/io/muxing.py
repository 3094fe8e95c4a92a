# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""From segments of packets, and the sound and subtitles of the source, to the final video file."""

import heapq
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

import av

from ..errors import EncodingError
from .checking import Expected, codec_name, find_fault
from .conversion import Converter, add_converter
from .encoding import configure, encoding_error
from .media import open_video, video_streams
from .output_plan import OutputPlan, SourceStreams, TimeRange
from .segments import Record, read_records

if TYPE_CHECKING:
    from av.container.core import Chapter

# Tags that were true of the source alone.
_STALE_TAGS = ('rotate', 'encoder', 'duration', 'bps', 'number_of_', '_statistics_')
_STALE_FILE_TAGS = ('encoder', 'major_brand', 'minor_version', 'compatible_brands')


class Timed(NamedTuple):
    """A packet of another stream: when it is decoded (seconds from the source's first frame)."""

    time: Fraction
    packet: av.Packet


class Muxer:
    """Write a video file.

    Args:
        file (Path | IO): The file, or an open one that can seek.
        plan (OutputPlan): What goes into it.
        cut (TimeRange): Which part of the source that is.

    Raises:
        EncodingError: The encoder or the container does not take this.
    """

    def __init__(self, file: Path | IO[bytes], plan: OutputPlan, cut: TimeRange) -> None:
        self.plan, self.cut = plan, cut
        # Sound that comes before the first frame makes all else later.
        self.shift = (Fraction(0) if cut.start else plan.lead) - cut.start
        self._streams: dict[int, av.stream.Stream] = {}
        self._converters: dict[int, Converter] = {}
        self._codecs: dict[int, str] = {}
        self._ends: dict[int, Fraction] = {}
        self._shown: list[Fraction] = []
        self.left_out = [*plan.left_out]
        with ExitStack() as stack:
            self._output = av.open(
                os.path.abspath(file) if isinstance(file, Path) else file,
                'w',
                format=plan.container.format,
                container_options=dict(plan.container.options),
            )
            stack.callback(self._close_output)
            self._video = self._add_video()
            if plan.source:
                self._input = stack.enter_context(open_video(plan.source.path))
                self._add_streams(self._input)
            try:
                self._output.start_encoding()
            except (av.error.FFmpegError, ValueError) as error:
                raise EncodingError(f'{plan.suffix} files do not take this: {error}') from error
            self._open = stack.pop_all()

    def _add_video(self) -> av.VideoStream:
        settings, container = self.plan.settings, self.plan.container
        try:
            stream = cast(
                av.VideoStream, self._output.add_stream(settings.codec, rate=settings.info.rate)
            )
        except (av.error.FFmpegError, ValueError) as error:
            raise EncodingError(
                f'{self.plan.suffix} files do not hold {settings.codec}: {error}'
            ) from error
        context = stream.codec_context
        configure(context, settings)
        if context.codec.canonical_name == 'hevc' and container.edit_lists:
            # What Apple's players ask for.
            context.codec_tag = 'hvc1'
        try:
            context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise encoding_error(settings, error) from error
        stream.time_base = self.plan.tick
        return stream

    def _add_streams(self, source: av.container.InputContainer) -> None:
        self._output.metadata.update(_without(source.metadata, _STALE_FILE_TAGS))
        tags = _without(video_streams(source)[0].metadata, _STALE_TAGS)
        if self.cut.start and any(key.lower() == 'timecode' for key in tags):
            tags = _without(tags, ('timecode',))
            self.left_out.append('time code, which is that of the first frame of the source')
        self._video.metadata.update(tags)
        if self.plan.chapters:
            self._output.set_chapters(self._chapters(source))
        for stream in source.streams:
            if stream.index in self.plan.attached:
                file = cast(av.stream.AttachmentStream, stream)
                self._output.add_attachment(file.name or '', file.mimetype or '', file.data)
                continue
            encoder = self.plan.converted.get(stream.index)
            try:
                if stream.index in self.plan.copied:
                    new = self._output.add_stream_from_template(stream)
                elif encoder is not None:
                    new, converter = add_converter(
                        self._output, stream, encoder, fill=self.plan.container.even
                    )
                    self._converters[stream.index] = converter
                else:
                    continue
            except (av.error.FFmpegError, ValueError) as error:
                raise EncodingError(
                    f'{self.plan.suffix} files do not hold {encoder or codec_name(stream)}: {error}'
                ) from error
            self._streams[stream.index] = new
            self._codecs[stream.index] = codec_name(stream if encoder is None else new)
            new.metadata.update(_without(stream.metadata, _STALE_TAGS))
            new.disposition = stream.disposition

    def _chapters(self, source: av.container.InputContainer) -> 'list[Chapter]':
        """Those of the part that is taken."""
        timeline = cast(SourceStreams, self.plan.source).timeline
        end = timeline.end * timeline.base if self.cut.stop is None else self.cut.stop
        chapters: list[Chapter] = []
        for chapter in source.chapters():
            base = chapter['time_base'] or Fraction(1, 1000)
            start, stop = (
                round((min(max(timeline.map(t * base), self.cut.start), end) + self.shift) / base)
                for t in (chapter['start'], chapter['end'])
            )
            if start < stop:
                chapters.append({**chapter, 'start': start, 'end': stop, 'time_base': base})
        return chapters

    def write(
        self,
        records: Iterable[Record],
        times: Sequence[int],
        end: int,
        others: Iterable[Timed] | None = None,
    ) -> None:
        """Write all packets.

        Args:
            records (Iterable[Record]): Those of the video.
            times (Sequence[int]): When these are shown, ticks.
            end (int): When the last frame ends, ticks.
            others (Iterable[Timed], optional): Those of the other streams, which rise in time.
                None for all of the source that are in the range.
        """
        if others is None:
            others = self._source_packets() if self._streams else ()
        video = self._video_packets(records, times, end)
        try:
            for timed in heapq.merge(video, others, key=lambda timed: timed.time):
                self._listen(timed)
                self._mux(self._finished(timed))
            for converter in self._converters.values():
                self._mux(converter.finish())
        except (av.error.FFmpegError, ValueError) as error:
            raise EncodingError(f'{self.plan.suffix} files do not take this: {error}') from error

    def _mux(self, packets: Iterable[av.Packet]) -> None:
        container = self.plan.container
        for packet in packets:
            # What an encoder of sound makes up before the start must not be heard.
            made_up = packet.stream.type == 'audio' and packet.pts is not None and packet.pts < 0
            if not made_up or container.edit_lists or container.codec_delay:
                self._output.mux_one(packet)

    def _listen(self, timed: Timed) -> None:
        """Keep in mind where sound ends."""
        time, packet = timed
        if packet.stream.type == 'audio':
            end = time + self.shift + (packet.duration or 0) * packet.time_base
            self._ends[packet.stream_index] = end

    def _finished(self, timed: Timed) -> Iterator[av.Packet]:
        """Yield what to write for a packet of the source or of the video."""
        time, packet = timed
        if packet.stream is self._video:
            yield packet
            return
        index = packet.stream_index
        if index in self._converters:
            yield from self._converters[index].convert(packet, time + self.shift)
            return
        late = 0 if packet.pts is None or packet.dts is None else packet.pts - packet.dts
        packet.dts = round((time + self.shift) / packet.time_base)
        packet.pts = packet.dts + late
        packet.stream = self._streams[index]
        yield packet

    def _video_packets(
        self, records: Iterable[Record], times: Sequence[int], end: int
    ) -> Iterator[Timed]:
        tick, base = self.plan.tick, self.plan.settings.info.time_base
        places = {time: round((time * base + self.shift) / tick) for time in (*times, end)}
        shown = sorted(places.values())
        self._shown = [place * tick for place in shown[:-1]]
        following = dict(pairwise(shown))
        decoded = decoding_times([places[time] for time in times])
        for (time, is_keyframe, data), dts in zip(records, decoded, strict=True):
            packet = av.Packet(data)
            packet.time_base, packet.pts, packet.dts = tick, places[time], dts
            packet.duration = following[places[time]] - places[time]
            packet.is_keyframe = is_keyframe
            packet.stream = self._video
            yield Timed(dts * tick - self.shift, packet)

    def _source_packets(self) -> Iterator[Timed]:
        """Yield the packets of the other streams that are in the range, in the file's order."""
        times = cast(SourceStreams, self.plan.source).timeline.copied
        numbers = dict.fromkeys(self._streams, -1)
        hidden: dict[int, Timed] = {}
        last: dict[int, Fraction] = {}
        for packet in readable(self._input.demux(*(self._input.streams[i] for i in numbers))):
            index = packet.stream_index
            numbers[index] += 1
            if numbers[index] >= len(times.get(index, ())):
                continue
            timed = Timed(times[index][numbers[index]] * packet.time_base, packet)
            taken = None if packet.is_discard else self._taken(timed)
            if taken is None:
                hidden[index] = timed
            elif index not in last or taken.time > last[index]:
                # A decoder starts with the one before the first that is heard.
                if index not in last and index in hidden and self._hides(packet.stream):
                    yield hidden[index]
                last[index] = taken.time
                yield taken

    def _hides(self, stream: av.stream.Stream) -> bool:
        """Whether what is decoded before the start is not heard."""
        if self.cut.start:
            return False
        container = self.plan.container
        # What the source says of the start that a decoder makes up goes along in Matroska.
        delayed = container.codec_delay and stream.codec_context and stream.codec_context.delay
        return container.edit_lists or bool(delayed)

    def _taken(self, timed: Timed) -> Timed | None:
        """Return a packet as far as it is in the range."""
        time, packet = timed
        end = time + (packet.duration or 0) * packet.time_base
        if self.cut.stop is not None and time >= self.cut.stop:
            return None
        floor = self.cut.start or -self.plan.lead
        if time >= floor:
            return timed
        if packet.stream.type == 'subtitle' and end > floor:
            packet.duration = round((end - floor) / packet.time_base)
            return Timed(floor, packet)
        # The first packet of sound may be heard in part.
        return timed if end > floor and self._hides(packet.stream) else None

    @property
    def expected(self) -> Expected:
        """What the file should hold once it is closed."""
        info = self.plan.settings.info
        kinds = {index: stream.type for index, stream in self._streams.items()}
        return Expected(
            size=(info.width, info.height),
            times=self._shown,
            tick=self.plan.tick,
            streams=[(kinds[index], self._codecs[index]) for index in self._streams],
            ends=[self._ends.get(index) for index in self._streams],
            even=self.plan.container.even,
        )

    def _close_output(self) -> None:
        try:
            self._output.close()
        except (av.error.FFmpegError, ValueError) as error:
            raise EncodingError(f'{self.plan.suffix} files do not take this: {error}') from error

    def close(self) -> None:
        """Close all files; the output is whole if nothing failed before."""
        self._open.close()


def write_video(
    path: Path,
    plan: OutputPlan,
    segments: Sequence[Path],
    end: int,
    cut: TimeRange,
) -> list[str]:
    """Join segments, and what lies beside them in the source, into a video file.

    Args:
        path (Path): The file to write.
        plan (OutputPlan): What :func:`.rehearsal.plan_output` decided.
        segments (Sequence[Path]): Files of packets, in order.
        end (int): When the last frame ends, ticks.
        cut (TimeRange): Which part of the source it is.

    Returns:
        list[str]: What is not in the file as it was in the source.

    Raises:
        EncodingError: The file, opened again, does not hold what it should.
    """
    muxer = Muxer(path, plan, cut)
    try:
        times = [r.time for segment in segments for r in read_records(segment, with_data=False)]
        records = (record for segment in segments for record in read_records(segment))
        muxer.write(records, times, end)
    finally:
        muxer.close()
    if fault := find_fault(path, muxer.expected):
        raise EncodingError(
            f'{path}, opened again, is not what it should be: {fault}. What was restored is kept; '
            'use another container, such as .mkv'
        )
    return [*(f'not in the output: {what}' for what in muxer.left_out), *plan.notes]


def readable(packets: Iterator[av.Packet]) -> Iterator[av.Packet]:
    """Yield packets up to the first that can't be read, without the empty ones."""
    with suppress(av.error.FFmpegError):
        yield from (packet for packet in packets if packet.size)


def _without(tags: Mapping[str, str], stale: Sequence[str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if not key.lower().startswith(tuple(stale))}


def decoding_times(times: Sequence[int]) -> list[int]:
    """Return the times at which packets are decoded: rising, and none after it is shown.

    The encoders' own are of no use, for those of neighbouring segments overlap.

    Args:
        times (Sequence[int]): Times at which the packets are shown, in the order of decoding.

    Returns:
        list[int]: For each packet the time that is so many places before in the order of showing
        as the deepest reordering needs.
    """
    shown = sorted(times)
    place = {time: i for i, time in enumerate(shown)}
    delay = max((i - place[time] for i, time in enumerate(times)), default=0)
    step = min((b - a for a, b in pairwise(shown)), default=1)
    early = [shown[0] - (delay - i) * step for i in range(delay)]
    return [*early, *shown[: len(shown) - delay]]
