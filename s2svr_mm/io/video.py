# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Read any frame of a video file, identical to that of a full decode by FFmpeg."""

import hashlib
import zlib
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import chain, islice, repeat

import av
import numpy as np

from ..errors import DataError
from .color import color_of, to_rgb
from .damage import Damage
from .media import open_video, video_stream
from .packet_list import UNKNOWN
from .reader import Frame, Reader, VideoInfo
from .timeline import Stamp
from .video_index import (
    HIDDEN,
    REORDERING,
    VideoIndex,
    decode,
    index_video,
    packets_of,
)

# Packets after which a seek that has not found its place never will.
_SEARCHED_PACKETS = 1000
# Seconds to aim before a packet; some containers only know about where a time lies.
_MARGINS = 0, 1, 10


class VideoReader(Reader):
    """A video file.

    Frames are those that FFmpeg decodes, damaged ones concealed as it does; :attr:`damage` says
    which. For a frame of which no picture is left, the one before stands in.

    Args:
        path: The file.
        strict: Refuse a damaged frame instead. Defaults to False.

    Raises:
        DataError: The file is missing, no video, or holds no frame that can be decoded.
    """

    def __init__(self, path: str, strict: bool = False) -> None:
        self.path = path
        self.strict = strict
        self._flaws: set[int] = set()
        self._missing: set[int] = set()
        damage = self._index.damage
        if strict and damage:
            raise DataError(f'The video {path} is damaged: {damage}. Copy it again.')

    @property
    def _index(self) -> VideoIndex:
        return index_video(self.path)

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self._index.packet)

    @property
    def info(self) -> VideoInfo:
        """Size, rate and colour of the first frame."""
        return self._index.info

    @property
    def times(self) -> list[int]:
        """When each frame is shown, in ticks, as the file says."""
        return self._index.times.tolist()

    @property
    def stamps(self) -> list[Stamp]:
        """What the file says of each frame's time, and where it lies."""
        index = self._index
        places = index.places[index.packet]
        shown = (None if pts == UNKNOWN else pts for pts in places[:, 0].tolist())
        # Frames are in another order than packets, so times of decoding say nothing.
        reached = np.maximum.accumulate(places[:, 2]).tolist()
        durations = index.durations.tolist()
        return [Stamp(*s) for s in zip(shown, repeat(None), durations, reached, strict=False)]

    @property
    def notes(self) -> list[str]:
        """What else there is to know about the file."""
        return list(self._index.notes)

    @property
    def damage(self) -> Damage | None:
        """What is wrong with the pictures, as far as was read."""
        index = self._index
        missing = frozenset(self._missing)
        concealed = (self._flaws | set(index.damage.concealed)) - missing
        dependent: set[int] = set()
        for number in missing | concealed:
            dependent.update(index.dependents(int(index.packet[number])).tolist())
        damage = Damage(
            missing=tuple(sorted(missing)),
            concealed=tuple(sorted(concealed)),
            dependent=tuple(sorted(dependent - concealed - missing)),
            lost=index.damage.lost,
            cut_off=index.damage.cut_off,
        )
        return damage if damage else None

    def files(self) -> list[str]:
        """Return the file."""
        return [self.path]

    def info_at(self, index: int) -> VideoInfo:
        """Return what describes a frame; the size may change on the way."""
        return self.info if index == 0 else super().info_at(index)

    def fingerprint(self, start: int = 0, stop: int | None = None) -> str:
        """Return a hash of the packets that frames are decoded from; see :class:`Reader`."""
        index = self._index
        digest = hashlib.sha256(f'{index.header} {index.info} {index.orientation}'.encode())
        packets = index.packet[start:stop]
        if len(packets):
            digest.update(index.checksums[next(index.starts(start)) : packets.max() + 1].tobytes())
        digest.update(index.times[start:stop].tobytes())
        digest.update(index.durations[start:stop].tobytes())
        return digest.hexdigest()

    def _frames(self, start: int, stop: int, wanted: frozenset[int] | None) -> Iterator[Frame]:
        index = self._index
        for number, picture in self._pictures(index, start, stop):
            if wanted is None or number in wanted:
                time, duration = int(index.times[number]), int(index.durations[number])
                rgb = self._to_rgb(index, number, picture)
                yield Frame(rgb, number, time, duration, f'{number:08d}')

    def _pictures(
        self, index: VideoIndex, start: int, stop: int, hurry: bool = True
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Yield a picture for each frame, whether it can be decoded or not.

        Args:
            index: The file's index.
            start: Number of the first frame.
            stop: Number after the last one.
            hurry: Whether frames before the first one may be passed over, if no others need them.
        """
        held: av.VideoFrame | None = None
        expected = start
        for number, picture in self._decode(index, start, hurry):
            flawed = picture is None or picture.is_corrupt
            if expected == start and hurry and (flawed or number > start):
                # What is passed over may be what stands in, or what conceals the damage.
                yield from self._pictures(index, start, stop, hurry=False)
                return
            if flawed:
                self._note_flaw(number)
            if picture is None:
                continue
            if number < expected:
                held = picture
                continue
            for missing in range(expected, min(number, stop)):
                self._note_missing(missing)
                yield missing, held or picture
            if number >= stop:
                return
            yield number, picture
            held, expected = picture, number + 1
            if expected == stop:
                return
        if held is None:
            raise DataError(f'{self.place(start)} cannot be decoded. Copy the file again.')
        for missing in range(expected, stop):
            self._note_missing(missing)
            yield missing, held

    def _decode(
        self, index: VideoIndex, frame: int, hurry: bool
    ) -> Iterator[tuple[int, av.VideoFrame | None]]:
        """Decode from the nearest keyframe that gives a clean start.

        A keyframe does where its own picture comes first. It doesn't where it is damaged, or where
        the picture is renewed bit by bit.
        """
        for start in index.starts(frame):
            pictures = self._decode_from(index, start, frame if hurry else -1)
            head = []
            for number, picture in pictures:
                head.append((number, picture))
                if picture is not None:
                    break
            number, picture = head[-1] if head else (HIDDEN, None)
            clean = picture is not None and picture.key_frame and not picture.is_corrupt
            if (clean and number == index.number[start]) or start == 0:
                yield from chain(head, pictures)
                return
            pictures.close()

    def _decode_from(
        self, index: VideoIndex, start: int, hurried_to: int
    ) -> Generator[tuple[int, av.VideoFrame | None], None, None]:
        """Decode from a packet on; frames before a number only if others need them."""
        container = open_video(self.path)
        try:
            stream = video_stream(container, self.path)
            packets = _seek(container, stream, index, start) if start else None
            if start and packets is None:
                container.close()
                container = open_video(self.path)
                stream = video_stream(container, self.path)
            packets = packets or enumerate(packets_of(container, stream))
            fed = self._fed(stream.codec_context, index, packets, start, hurried_to)
            for packet, picture in decode(stream.codec_context, fed):
                if index.number[packet] >= 0:
                    yield int(index.number[packet]), picture
        finally:
            container.close()

    def _fed(
        self,
        codec: av.VideoCodecContext,
        index: VideoIndex,
        packets: Iterator[tuple[int, av.Packet]],
        start: int,
        hurried_to: int,
    ) -> Iterator[tuple[int, av.Packet]]:
        first = index.number[start] if start else HIDDEN
        # Other decoders work ahead, so that it is too late for what they hold.
        may_skip = codec.name in REORDERING
        for number, packet in packets:
            if number >= len(index.number):
                return
            frame = index.number[number]
            # What is stored after a keyframe but shown before it needs what lies before both.
            if number < start or HIDDEN < frame < first:
                continue
            if may_skip:
                codec.skip_frame = 'NONREF' if 0 <= frame < hurried_to else 'DEFAULT'
            yield number, packet

    def _note_flaw(self, number: int) -> None:
        if self.strict:
            raise DataError(f'{self.place(number)} is damaged. Copy the file again.')
        self._flaws.add(number)

    def _note_missing(self, number: int) -> None:
        if self.strict:
            raise DataError(f'{self.place(number)} cannot be decoded. Copy the file again.')
        self._missing.add(number)

    def _to_rgb(self, index: VideoIndex, number: int, picture: av.VideoFrame) -> np.ndarray:
        if picture.interlaced_frame or index.interlaced:
            raise DataError(
                f'{self.path} is interlaced: each frame holds two fields (frame {number} does). '
                f'Make it progressive first: ffmpeg -i {self.path} -vf bwdif=deint=interlaced '
                '-crf 10 progressive.mkv'
            )
        kind = picture.format
        if any(component.is_alpha for component in kind.components) or kind.has_palette:
            alpha = picture.reformat(format='rgba', threads=1).to_ndarray()[..., 3]
            if alpha.min() < 255:
                raise DataError(
                    f'{self.path} is partly transparent (frame {number}), so its colours are not '
                    'defined. Flatten it onto a background.'
                )
        # The first frame says how deep the result is; each one says what its samples mean.
        color = replace(color_of(picture), bits=index.info.color.bits)
        return index.orientation.apply(to_rgb(picture, color))


def _seek(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    index: VideoIndex,
    packet: int,
) -> Iterator[tuple[int, av.Packet]] | None:
    """Go to a packet of an open file; None if it can only be reached by reading all before it."""
    pts, dts, position = index.places[packet].tolist()
    known = [time for time in (pts, dts) if time != UNKNOWN]
    if position < 0 or not known or stream.time_base is None:
        return None
    for seconds in _MARGINS:
        try:
            container.seek(min(known) - round(seconds / stream.time_base), stream=stream)
        except av.error.FFmpegError:
            return None
        packets = packets_of(container, stream)
        for found in islice(packets, _SEARCHED_PACKETS):
            # What a parser gives first after a seek may be half of a packet.
            if found.pos == position and zlib.crc32(found) == index.checksums[packet]:
                return chain([(packet, found)], enumerate(packets, packet + 1))
            if found.pos is None or found.pos > position:
                break
    return None
