# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""From segments of packets, and the sound and subtitles of the source, to the final video file."""

import heapq
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from ..errors import EncodingError
from .encoding import RECORD, EncoderSettings, configure, encoding_error


def _records(path: Path, with_data: bool) -> Iterator[tuple[int, bool, bytes]]:
    with open(path, 'rb') as file:
        while head := file.read(RECORD.size):
            time, is_keyframe, size = RECORD.unpack(head)
            data = file.read(size) if with_data else b''
            if not with_data:
                file.seek(size, os.SEEK_CUR)
            yield time, bool(is_keyframe), data


@dataclass(frozen=True)
class TimeRange:
    """Which part of the source's sound and subtitles goes along, in seconds of the source.

    Attributes:
        start (Fraction, optional): Where it starts; None for as early as there is any.
        stop (Fraction, optional): Where it ends; None for the end.
        shift (Fraction): How much earlier all is shown.
    """

    start: Fraction | None = None
    stop: Fraction | None = None
    shift: Fraction = Fraction(0)


class Muxer:
    """Joins segments, sound and subtitles into a video file.

    Args:
        path (Path): The file to write; its name says the container.
        settings (EncoderSettings): How the segments were encoded.
        source (str, optional): Video whose sound, subtitles, chapters and tags are taken over.
        without (Sequence[str]): Kinds of streams to leave out: 'audio', 'subtitle'.

    Raises:
        EncodingError: The container does not take the streams.
    """

    def __init__(
        self,
        path: Path,
        settings: EncoderSettings,
        source: str | None = None,
        without: Sequence[str] = (),
    ) -> None:
        self.settings = settings
        self.left_out: list[str] = []
        self._input = av.open(source) if source else None
        self._streams: dict[int, av.stream.Stream] = {}
        try:
            self._output = av.open(str(path), 'w')
        except (av.error.FFmpegError, ValueError) as error:
            raise EncodingError(f'{path.name}: {error}') from error
        try:
            self._video = self._output.add_stream(settings.codec, rate=settings.info.rate)
        except (av.error.FFmpegError, ValueError) as error:
            self.close()
            raise EncodingError(
                f'{path.suffix} files do not hold {settings.codec}: {error}. Take another --codec, '
                'or write an .mkv file'
            ) from error
        configure(self._video.codec_context, settings)
        self._video.time_base = settings.info.time_base
        if settings.codec == 'libx265' and path.suffix in ('.mp4', '.mov', '.m4v'):
            self._video.codec_context.codec_tag = 'hvc1'
        try:
            if self._input:
                self._add_streams(path.suffix, without)
            self._output.start_encoding()
        except EncodingError:
            self.close()
            raise
        except (av.error.FFmpegError, ValueError) as error:
            self.close()
            raise encoding_error(settings, error) from error

    def _add_streams(self, suffix: str, without: Sequence[str]) -> None:
        self._output.metadata.update(self._input.metadata)
        main = self._input.streams.video[0]
        self._video.metadata.update(main.metadata)
        for stream in self._input.streams:
            if stream.index == main.index or stream.type in without:
                continue
            if stream.type == 'attachment' and suffix == '.mkv':
                self._output.add_attachment(stream.name, stream.mimetype, stream.data)
            elif stream.type in ('audio', 'subtitle'):
                self._streams[stream.index] = self._add_stream(stream, suffix)
            else:
                self.left_out.append(f'stream {stream.index} ({stream.type})')

    def _add_stream(self, stream: av.stream.Stream, suffix: str) -> av.stream.Stream:
        name = stream.codec_context.name if stream.codec_context else 'unknown'
        try:
            copy = self._output.add_stream_from_template(stream)
        except (av.error.FFmpegError, ValueError) as error:
            raise EncodingError(
                f'{suffix} files do not hold {name}, the codec of {self._input.name} '
                f'stream {stream.index} ({stream.type}): write an .mkv file, or leave it out with '
                f'--without {stream.type}'
            ) from error
        copy.metadata.update(stream.metadata)
        copy.disposition = stream.disposition
        return copy

    def write(self, segments: Sequence[Path], last_duration: int, cut: TimeRange) -> None:
        """Write all packets.

        Args:
            segments (Sequence[Path]): Files of packets, in order.
            last_duration (int): Duration of the last frame, in ticks.
            cut (TimeRange): Which part of the other streams goes along.
        """
        if self._input:
            chapters = self._input.chapters()
            if chapters and cut == TimeRange():
                self._output.set_chapters(chapters)
        packets = [self._video_packets(segments, last_duration)]
        if self._streams:
            packets.append(self._copied_packets(cut))
        for packet in heapq.merge(*packets, key=lambda p: p.dts * p.time_base):
            self._output.mux_one(packet)

    def _video_packets(self, segments: Sequence[Path], last_duration: int) -> Iterator[av.Packet]:
        times = [time for path in segments for time, _, _ in _records(path, with_data=False)]
        shown = sorted(times)
        following = dict(zip(shown, [*shown[1:], shown[-1] + max(last_duration, 1)], strict=True))
        decoded = decoding_times(times)
        records = (record for path in segments for record in _records(path, with_data=True))
        for (time, is_keyframe, data), dts in zip(records, decoded, strict=True):
            packet = av.Packet(data)
            packet.time_base = self.settings.info.time_base
            packet.pts, packet.dts, packet.duration = time, dts, following[time] - time
            packet.is_keyframe = is_keyframe
            packet.stream = self._video
            yield packet

    def _copied_packets(self, cut: TimeRange) -> Iterator[av.Packet]:
        streams = [self._input.streams[index] for index in self._streams]
        packets = self._input.demux(*streams)
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError:
                return  # The damage has been reported with the video's.
            if packet is None:
                return
            if packet.dts is None or not packet.size:
                continue
            base = packet.time_base
            start, end = packet.pts * base, (packet.pts + (packet.duration or 0)) * base
            if cut.stop is not None and start >= cut.stop:
                continue
            if cut.start is not None and start < cut.start:
                if packet.stream.type != 'subtitle' or end <= cut.start:
                    continue
                packet.duration = round((end - cut.start) / base)
                packet.pts = packet.dts = round(cut.start / base)
            shift = round(cut.shift / base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = self._streams[packet.stream.index]
            packet.time_base = base
            yield packet

    def close(self) -> None:
        """Close all files; the output is whole if nothing failed before."""
        self._output.close()
        if self._input:
            self._input.close()


def decoding_times(times: Sequence[int]) -> list[int]:
    """Times at which packets are decoded: rising, and none after it is shown.

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
