# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Index of a video file: which packet holds which frame, and what is damaged."""

import functools
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np

from ..errors import DataError
from .color import UNSPECIFIED, color_of, is_known
from .completeness import what_is_missing
from .damage import Damage
from .media import open_video, stated_rate, video_stream
from .orientation import Orientation, from_display_matrix
from .packet_list import UNKNOWN, PacketList, list_packets
from .reader import VideoInfo

# Number of a packet that gives no frame of the clip.
HIDDEN = np.iinfo(np.int32).min
# What may show frames in another order than it stores them.
REORDERING = frozenset(['h264', 'hevc', 'vvc', 'mpeg1video', 'mpeg2video', 'mpeg4', 'cavs']).union(
    ['vc1', 'wmv3', 'svq3', 'rv30', 'rv40', 'avs2', 'avs3', 'evc']
)
# Packets by which that may move a frame, at most.
_DEEPEST_REORDERING = 32
# They state when a frame is shown. Others, AVI above all, state at most when it is decoded.
_TIMED_FORMATS = ('mov', 'matroska', 'mpegts', 'mpeg', 'mxf', 'flv', 'nut', 'ogg', 'ivf')
# Frames after which the order that a timed, or another container seems to have is believed.
_CHECKED_FRAMES = 12, 48
_STILLS = frozenset(['heic', 'heix', 'heim', 'heis', 'mif1', 'avif'])
_CACHED_FILES = 256


@dataclass(frozen=True, eq=False)
class VideoIndex:
    """What was learnt about a file by reading all of it and decoding its beginning.

    Attributes:
        info: Size, rate and colour of the first frame.
        orientation: How frames are turned upright.
        number: For each packet of the stream, in the order of the file, the number of its frame;
            negative for what is shown before the first frame that can be decoded, or never.
        packet: For each frame its packet.
        times: For each frame when it is shown, in ticks.
        durations: For each frame how long it is shown, in ticks.
        keys: Packets that decoding may start from.
        places: (packets, 3): for each packet when it is shown and decoded, in ticks, and its place
            in the file.
        checksums: For each packet one of its bytes.
        header: Hash of what else the pixels depend on.
        interlaced: Whether the container says that each frame holds two fields.
        damage: What reading alone shows to be wrong.
        notes: What else there is to know.
    """

    info: VideoInfo
    orientation: Orientation
    number: np.ndarray
    packet: np.ndarray
    times: np.ndarray
    durations: np.ndarray
    keys: np.ndarray
    places: np.ndarray
    checksums: np.ndarray
    header: int
    interlaced: bool
    damage: Damage
    notes: tuple[str, ...]

    def starts(self, frame: int) -> Iterator[int]:
        """Yield packets to decode a frame from: the nearest keyframe, earlier ones, the first."""
        before = self.keys[self.number[self.keys] <= frame][::-1]
        step = 0
        while step < len(before):
            yield int(before[step])
            step = 2 * step + 1
        yield 0

    def dependents(self, packet: int) -> np.ndarray:
        """Return the frames that may be predicted from a packet: all to the next keyframe."""
        after = self.keys[self.keys > packet]
        stop = after[0] if len(after) else len(self.number)
        numbers = self.number[packet + 1 : stop]
        # What a keyframe is stored before, but shown after, may refer to what lies before it.
        following = self.number[stop : stop + _DEEPEST_REORDERING]
        leading = following[following < self.number[stop]] if len(after) else following[:0]
        return np.concatenate([numbers[numbers >= 0], leading[leading >= 0]])


def holds_video(path: str) -> bool:
    """Whether FFmpeg finds a video in a file, by its content.

    Args:
        path: The file.
    """
    try:
        with open_video(path) as container:
            kind = container.format.name
            if kind.startswith('image2') or kind.endswith('_pipe'):
                return False  # a single image
            return video_stream(container, path).codec_context.width > 0
    except DataError:
        return False


def index_video(path: str) -> VideoIndex:
    """Index a video's frames; what is known of a file is kept until it changes.

    Args:
        path: The file.

    Returns:
        The index.

    Raises:
        DataError: The file is missing or holds no frames that can be used.
    """
    try:
        stat = os.stat(path)
    except OSError as error:
        raise DataError(f'Cannot open the video {path}: {error.strerror}.') from error
    state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    return _index_video(os.path.abspath(path), path, state)


@functools.lru_cache(_CACHED_FILES)
def _index_video(absolute: str, path: str, state: tuple[int, ...]) -> VideoIndex:
    with open_video(path) as container:
        stream = video_stream(container, path)
        _refuse_what_has_no_frames(container, stream, path)
        packets = list_packets(container, stream)
        facts = _Facts.of(container, stream, path, packets)
    numbers, checked = facts.order(packets)
    numbers, first, lost = _check_order(path, numbers, checked, len(packets.size))
    info, orientation, notes = _describe(first, facts, path)
    early = (numbers < 0) & (numbers != HIDDEN)
    if early[np.flatnonzero(packets.is_key)].any():
        lost += int(early.sum())
    elif early.any():
        notes.append(f'{path}: {early.sum()} pictures at its start need others that it lacks')
    shown = np.flatnonzero(numbers >= 0)
    packet = shown[np.argsort(numbers[shown])]
    times, durations = _times(packets, packet, info)
    keys = np.flatnonzero(np.array(packets.is_key) & (numbers >= 0))
    corrupt = numbers[_broken(packets, info)]
    return VideoIndex(
        info=info,
        orientation=orientation,
        number=numbers,
        packet=packet,
        times=times,
        durations=durations,
        keys=keys,
        places=np.array([packets.pts, packets.dts, packets.position], np.int64).T,
        checksums=np.array(packets.checksum, np.uint32),
        header=facts.header,
        interlaced=facts.interlaced,
        damage=Damage(
            concealed=tuple(sorted(int(n) for n in corrupt if n >= 0)),
            lost=lost,
            cut_off=facts.cut_off,
        ),
        notes=(*notes, *facts.notes),
    )


def _broken(packets: PacketList, info: VideoInfo) -> list[int]:
    """Find the packets of which the container misses a part.

    Where recordings were joined it looks so too, though nothing is lost: the clock jumps to a
    keyframe there, within a few packets.
    """
    second = float(1 / info.time_base)
    joins = [
        number
        for number, (before, after) in enumerate(pairwise(packets.dts))
        if packets.is_key[number + 1] and not 0 <= after - before <= second
    ]
    return [
        number
        for number in np.flatnonzero(packets.is_corrupt).tolist()
        if not any(number <= join < number + 4 for join in joins)
    ]


@dataclass(frozen=True)
class _Facts:
    """What an open file says about its video."""

    codec: str
    is_timed: bool
    reorders: bool
    base: Fraction
    rate: Fraction
    aspect: Fraction
    header: int
    interlaced: bool
    cut_off: str
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        path: str,
        packets: PacketList,
    ) -> '_Facts':
        codec, kind = stream.codec_context, container.format.name
        rate = stated_rate(stream)
        # Matroska has times of its own but where it wraps what AVI holds.
        wrapped = kind.startswith('matroska') and codec.codec_tag not in ('', '\0\0\0\0')
        cut_off = what_is_missing(path, kind, stream, packets)
        return cls(
            codec=codec.name,
            is_timed=kind.startswith(_TIMED_FORMATS) and not wrapped,
            reorders=codec.name in REORDERING and bool(codec.has_b_frames),
            base=Fraction(stream.time_base or 1 / rate),
            rate=rate,
            aspect=Fraction(stream.sample_aspect_ratio or codec.sample_aspect_ratio or 1),
            header=zlib.crc32(f'{codec.name} {codec.extradata!r}'.encode()),
            interlaced=codec.field_order > 1 and codec.name not in REORDERING,
            cut_off=cut_off,
            notes=() if cut_off else _duration_notes(path, container, stream, packets),
        )

    def order(self, packets: PacketList) -> tuple[np.ndarray | None, int]:
        """Assign the packets' frames their numbers as they are shown, by what the packets say.

        Args:
            packets: All packets.

        Returns:
            The number of each packet's frame, None if only decoding tells it; and after how many
            frames the order is believed.
        """
        shown = np.flatnonzero(~np.array(packets.is_hidden, bool))
        pts = np.array(packets.pts, np.int64)[shown]
        rises = bool((np.diff(pts) > 0).all()) and UNKNOWN not in pts
        numbers = np.full(len(packets.size), HIDDEN, np.int32)
        numbers[shown] = np.arange(len(shown))
        if self.codec not in REORDERING or (not self.reorders and rises):
            return numbers, 1
        if UNKNOWN in pts or len(np.unique(pts)) < len(pts) or not self.reorders:
            return None, 0
        ranks = np.argsort(np.argsort(pts))
        if np.abs(ranks - np.arange(len(ranks))).max(initial=0) > _DEEPEST_REORDERING:
            return None, 0  # the clock falls on the way
        numbers[shown] = ranks
        return numbers, _CHECKED_FRAMES[not self.is_timed]


def _refuse_what_has_no_frames(
    container: av.container.InputContainer, stream: av.VideoStream, path: str
) -> None:
    """Refuse what FFmpeg would decode to other pictures than people see."""
    if stream.metadata.get('alpha_mode', '0') != '0':
        raise DataError(
            f'{path} is partly transparent, so its colours are not defined. Flatten it onto a '
            'background.'
        )
    if container.metadata.get('major_brand', '').strip() in _STILLS:
        raise DataError(f'{path} is a photograph, possibly in tiles. Convert it to a PNG first.')


def _duration_notes(
    path: str,
    container: av.container.InputContainer,
    stream: av.VideoStream,
    packets: PacketList,
) -> tuple[str, ...]:
    """Note a header that promises much more than there is in the file."""
    known = [time for time in packets.pts if time != UNKNOWN]
    if not known or not container.duration:
        return ()
    promised = container.duration / av.time_base
    length = float((max(known) - min(known)) * (stream.time_base or 0))
    if promised - length < 1 or promised < 1.5 * length:
        return ()
    return (f'{path} says that it lasts {promised:.2f} s; its frames last {length:.2f} s',)


def packets_of(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.Packet]:
    """Yield a stream's packets to where the file ends, or can't be read any further."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError:
        return


def decode(
    codec: av.VideoCodecContext, packets: Iterable[tuple[int, av.Packet]]
) -> Iterator[tuple[int, av.VideoFrame | None]]:
    """Decode packets.

    Args:
        codec: The stream's decoder.
        packets: Packets with their numbers.

    Yields:
        A packet's number with its frame, in the order of showing; or with None, where it can't be
        decoded.
    """
    for number, packet in packets:
        # Every decoder hands a packet's time to its frame, whatever it is; so it tells which.
        packet.pts = packet.dts = number
        try:
            frames = codec.decode(packet)
        except av.error.FFmpegError:
            yield number, None
            continue
        for frame in frames:
            yield int(frame.pts or 0), frame
    try:
        for frame in codec.decode(None):
            yield int(frame.pts or 0), frame
    except av.error.FFmpegError:
        return  # What it still held is missing, and seen to be.


def _check_order(
    path: str, numbers: np.ndarray | None, checked: int, num_packets: int
) -> tuple[np.ndarray, av.VideoFrame, int]:
    """Decode the beginning, or all of a video, to see what comes in which order.

    Args:
        path: The file.
        numbers: What the packets say; None if only decoding tells it.
        checked: Number of frames after which that is believed.
        num_packets: Number of packets.

    Returns:
        The number of each packet's frame, of which 0 is the first that can be decoded; the first
        frame; and how many packets can't be decoded though their place isn't known.
    """
    first, order, lost = None, [], 0
    with open_video(path) as container:
        stream = video_stream(container, path)
        packets = enumerate(packets_of(container, stream))
        # Of MPEG-4, a packet may hold two frames and the next one none.
        one_each = stream.codec_context.name in REORDERING - {'mpeg4'}
        for packet, frame in decode(stream.codec_context, packets):
            if frame is None:
                lost += first is not None and not one_each
                continue
            first = first or frame
            order.append(packet)
            if numbers is not None and len(order) == checked:
                break
    if first is None:
        raise DataError(f'{path} holds no picture that can be decoded. Is it cut off or damaged?')
    if numbers is not None and bool((np.diff(numbers[order]) > 0).all()):
        # What comes before the first frame in the order of showing can't be had.
        visible = numbers != HIDDEN
        return np.where(visible, numbers - numbers[order[0]], HIDDEN), first, 0
    if numbers is not None:
        return _check_order(path, None, 0, num_packets)
    numbers = np.full(num_packets, HIDDEN, np.int32)
    numbers[order] = np.arange(len(order))
    if one_each:
        lost = num_packets - min(order) - len(order)
    return numbers, first, lost


def _describe(
    first: av.VideoFrame, facts: _Facts, path: str
) -> tuple[VideoInfo, Orientation, list[str]]:
    """Derive size, colour and orientation from the first frame."""
    notes = []
    orientation: Orientation | None = Orientation()
    # PyAV's stubs take it for the mapping that it is too.
    sides: Any = first.side_data
    for side in sides:
        if side.type.name == 'DISPLAYMATRIX':
            orientation = from_display_matrix(bytes(side))
    if orientation is None:
        notes.append(f'{path} has a display matrix that is no rotation or flip; it is ignored')
        orientation = Orientation()
    code = int(first.colorspace)
    if not first.format.is_rgb and code not in (0, UNSPECIFIED) and not is_known(code):
        notes.append(
            f'{path} has a colour matrix that is not known here (code {code} of H.273): its '
            'colours are taken for those of ordinary video'
        )
    height, width, aspect = first.height, first.width, facts.aspect
    if orientation.transpose:
        height, width, aspect = width, height, 1 / aspect
    info = VideoInfo(height, width, aspect, facts.rate, facts.base, color_of(first))
    return info, orientation, notes


def _times(
    packets: PacketList, order: np.ndarray, info: VideoInfo
) -> tuple[np.ndarray, np.ndarray]:
    """When frames are shown, as the packets say, and for how long, in ticks."""
    tick = max(round(1 / (info.rate * info.time_base)), 1)
    times: list[int] = []
    for packet in order:
        stated = packets.pts[packet]
        times.append(stated if stated != UNKNOWN else times[-1] + tick if times else 0)
    durations = [b - a for a, b in pairwise(times)] + [0] * bool(times)
    for number, packet in enumerate(order):
        if durations[number] <= 0:
            durations[number] = packets.duration[packet] or tick
    return np.array(times, np.int64), np.array(durations, np.int64)
