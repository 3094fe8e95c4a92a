# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Reading any frames of a video file, exactly those that a full decode gives."""

import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

import av
import numpy as np
from av.stream import Disposition

from ..errors import DataError
from .color import color_of, to_rgb
from .reader import Frame, FrameSizeError, Reader, VideoInfo

# Other containers' seeks miss their target or lose the frames' times.
SEEKABLE_FORMATS = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm')


def open_video(path: str) -> av.container.InputContainer:
    """Open a video file whose damage shall not be hidden by error concealment.

    Raises:
        DataError: The file is missing, not a video, or holds no picture stream.
    """
    try:
        container = av.open(path)
    except (av.error.FFmpegError, OSError) as error:
        raise DataError(
            f'Cannot open the video {path}: {error.strerror}. It is missing, cut off or damaged; '
            'copy it again.'
        ) from error
    if not container.streams.video or container.streams.video[0].codec_context is None:
        container.close()
        raise DataError(f'{path} holds no video that can be decoded. Is it cut off or damaged?')
    container.streams.video[0].codec_context.options = {'err_detect': 'crccheck+bitstream+explode'}
    return container


def decode_video(
    container: av.container.InputContainer,
    path: str,
    start: int | None = None,
    wanted_from: int | None = None,
) -> Iterator[av.VideoFrame]:
    """Decode the frames of an open video in display order.

    Args:
        container (av.container.InputContainer): What :func:`open_video` returned.
        path (str): The file, for messages.
        start (int, optional): Presentation time of a keyframe. All packets before it are passed
            over, and those of an open group of pictures that are shown before it.
        wanted_from (int, optional): Presentation time before which a frame is decoded only if
            others need it, which saves a quarter to a half of the time on the way there.

    Yields:
        av.VideoFrame: Each frame.

    Raises:
        DataError: A frame can't be decoded without errors.
    """
    started = start is None
    codec = container.streams.video[0].codec_context
    time = 'the start'
    try:
        for packet in container.demux(video=0):
            started = started or packet.pts == start
            if not started or (start is not None and packet.size and packet.pts < start):
                continue
            if wanted_from is not None and packet.size:
                codec.skip_frame = 'NONREF' if packet.pts < wanted_from else 'DEFAULT'
            for frame in packet.decode():
                if frame.is_corrupt:
                    raise DataError(f'The video {path} is damaged after {time}. Copy it again.')
                yield frame
                time = f'{frame.time:.2f} s' if frame.time is not None else 'its first frames'
    except av.error.FFmpegError as error:
        raise DataError(
            f'The video {path} is damaged after {time} ({error.strerror}). Copy it again, or '
            'extract its good part to a folder of frames.'
        ) from error


def video_to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Turn a decoded frame into RGB, upright.

    Args:
        frame (av.VideoFrame): A decoded frame.

    Returns:
        np.ndarray: (h, w, 3) uint8, rotated as the video's display matrix asks (phones).
    """
    if frame.rotation % 90:
        raise DataError(f'A rotation by {frame.rotation} degrees is not supported.')
    rgb = frame.to_ndarray(format='rgb24')
    return np.ascontiguousarray(np.rot90(rgb, frame.rotation // 90))


@dataclass(frozen=True)
class VideoIndex:
    """Where a video's frames lie.

    Attributes:
        num_frames (int): Number of frames.
        times (np.ndarray): Presentation times of the frames, ascending, in the stream's time
            base; empty if the container can't be searched by time.
        keyframes (np.ndarray): (k, 2), for each keyframe its presentation time and the time to
            seek to.
    """

    num_frames: int
    times: np.ndarray
    keyframes: np.ndarray


@functools.cache
def index_video(path: str) -> VideoIndex:
    """Index a video's frames, once in a process.

    Reads the packets without decoding them where that is enough.

    Args:
        path (str): The video file.

    Returns:
        VideoIndex: The index.
    """
    with open_video(path) as container:
        stream = container.streams.video[0]
        # VP8 packets may hold frames that are never shown.
        packets_are_frames = stream.codec_context.name != 'vp8'
        packets = _complete_packets(container, path)
        seekable = container.format.name in SEEKABLE_FORMATS
    # A trimmed video starts with packets that are decoded but not shown.
    times = [p.pts for p in packets if not p.is_discard]
    if not packets_are_frames or None in times or len(set(times)) < len(times):
        with open_video(path) as container:
            times = [frame.pts for frame in decode_video(container, path)]
    if not seekable or None in times or len(set(times)) < len(times):
        return VideoIndex(len(times), np.empty(0, np.int64), np.empty((0, 2), np.int64))
    keyframes = [(p.pts, p.pts if p.dts is None else p.dts) for p in packets if p.is_keyframe]
    return VideoIndex(len(times), np.array(sorted(times)), np.array(sorted(keyframes)))


class _Packet(NamedTuple):
    """What is kept of a packet; the data themselves may not fit in memory."""

    pts: int | None
    dts: int | None
    is_keyframe: bool
    is_discard: bool


def _complete_packets(container: av.container.InputContainer, path: str) -> list[_Packet]:
    """The packets of the first video stream; an error if the file does not hold all of them."""
    stream = container.streams.video[0]
    length = os.path.getsize(path)
    cut_off = any(entry.pos + entry.size > length for entry in stream.index_entries)
    packets, end = [], 0.0
    try:
        for packet in container.demux():
            cut_off = cut_off or packet.is_corrupt
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index == stream.index and packet.size:
                packets.append(
                    _Packet(packet.pts, packet.dts, packet.is_keyframe, packet.is_discard)
                )
    except av.error.FFmpegError:
        cut_off = True
    if container.format.name == 'matroska,webm' and container.duration:
        # Matroska does not count frames; half a second is more than any rounding of its duration.
        cut_off = cut_off or end + 0.5 < container.duration / av.time_base
    if cut_off:
        raise DataError(f'The video {path} is cut off after {end:.2f} s. Copy it again.')
    return packets


def read_video(path: str, indices: Sequence[int]) -> list[np.ndarray]:
    """Read some frames of a video: seek to the keyframe before the first, then decode.

    Nothing stays open afterwards, so it is safe in forked workers. Every frame of a video with a
    variable frame rate is one frame here, whatever its duration.

    Args:
        path (str): The video file.
        indices (Sequence[int]): Frame numbers from 0, in any order.

    Returns:
        list[np.ndarray]: RGB frames (h, w, 3), uint8.

    Raises:
        DataError: A frame does not exist or can't be decoded without errors.
    """
    video = index_video(path)
    if max(indices) >= video.num_frames:
        raise DataError(f'{path} has {video.num_frames} frames; {max(indices)} was asked for.')
    before = np.empty((0, 2))
    if len(video.times):
        before = video.keyframes[video.keyframes[:, 0] <= video.times[min(indices)]]
    if len(before) > 1:
        try:
            return _decode_frames(path, video, indices, tuple(map(int, before[-1])))
        except DataError:
            # An H.264 keyframe inside an open group of pictures is no clean start, and the error
            # checks say so. From the first frame on, only real damage fails.
            pass
    return _decode_frames(path, video, indices, None)


def _decode_frames(
    path: str, video: VideoIndex, indices: Sequence[int], keyframe: tuple[int, int] | None
) -> list[np.ndarray]:
    wanted = set(indices)
    found = {}
    with open_video(path) as container:
        if keyframe is not None:
            container.seek(keyframe[1], stream=container.streams.video[0])
        start = keyframe and keyframe[0]
        wanted_from = int(video.times[min(indices)]) if len(video.times) else None
        frames = decode_video(container, path, start, wanted_from)
        for count, frame in enumerate(frames):
            number = np.searchsorted(video.times, frame.pts) if len(video.times) else count
            if number in wanted:
                found[int(number)] = video_to_rgb(frame)
            if len(found) == len(wanted):
                break
    if missing := sorted(wanted - found.keys()):
        raise DataError(
            f'The video {path} is damaged: no picture for its frame {missing[0]}. Copy it again.'
        )
    return [found[i] for i in indices]


class VideoReader(Reader):
    """A video file.

    Args:
        path: The file.

    Raises:
        DataError: It is missing, no video, interlaced, or damaged from the start.
    """

    has_streams = True

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        with self._open() as container:
            stream = container.streams.video[0]
            frame = next(decode_video(container, path), None)
            if frame is None:
                raise DataError(f'The video {path} holds no frames.')
            self.info = _info_of(frame, stream)
            self.first_time = frame.pts or 0
        try:
            self.num_frames = index_video(path).num_frames
        except DataError as error:
            self.num_frames, self.damage = None, str(error)

    def _open(self) -> av.container.InputContainer:
        container = open_video(self.path)
        if container.streams.video[0].disposition & Disposition.attached_pic:
            container.close()
            raise DataError(f'{self.path} holds no video, only a cover picture.')
        return container

    def files(self) -> list[str]:
        """Return the file."""
        return [self.path]

    def _frames(self, start: int, stop: int | None) -> Iterator[Frame]:
        with self._open() as container:
            ticks = max(round(1 / (self.info.rate * self.info.time_base)), 1)
            held: Frame | None = None
            for index, frame in enumerate(islice(self._pictures(container), start, None), start):
                following = self.first_time if held is None else held.time + ticks
                time = following if frame.pts is None else frame.pts
                if held is not None:
                    # Times must rise, or no container takes the frames.
                    time = max(time, held.time + 1)
                    yield replace(held, duration=time - held.time)
                if index == stop:
                    return
                rgb = self._to_rgb(frame)
                held = Frame(rgb, index, time, frame.duration or ticks, f'{index:08d}')
            if held is not None:
                yield held

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames in a row; see :class:`Reader`."""
        if self.num_frames is not None:
            yield from super().iterate(start, stop)
            return
        for frame in self._frames(start, stop):
            if frame.rgb.shape[:2] != (self.info.height, self.info.width):
                raise FrameSizeError(
                    self.place(frame.index),
                    frame.index,
                    frame.rgb.shape[:2],
                    (self.info.height, self.info.width),
                )
            yield frame

    def _pictures(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        """The frames up to where the file is damaged, but at least one."""
        frames = decode_video(container, self.path)
        yield next(frames)
        try:
            yield from frames
        except DataError as error:
            self.damage = str(error)

    def _to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        if frame.interlaced_frame:
            raise DataError(
                f'{self.path} is interlaced: each frame holds two moments. Make it progressive '
                f'first: ffmpeg -i {self.path} -vf bwdif=deint=interlaced -crf 10 progressive.mkv'
            )
        if any(c.is_alpha for c in frame.format.components) or frame.format.has_palette:
            alpha = frame.reformat(format='rgba').to_ndarray()[..., 3]
            if alpha.min() < 255:
                raise DataError(
                    f'{self.path} is partly transparent, so its colours are not defined. Flatten '
                    'it onto a background.'
                )
        rgb = to_rgb(frame, self.info.color)
        return np.ascontiguousarray(np.rot90(rgb, frame.rotation // 90))


def _info_of(frame: av.VideoFrame, stream: av.VideoStream) -> VideoInfo:
    """How a video wants to be shown, by its first frame."""
    if frame.rotation % 90:
        raise DataError(f'A rotation by {frame.rotation} degrees is not supported.')
    aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    aspect = Fraction(aspect) if aspect else Fraction(1)
    height, width = frame.height, frame.width
    if frame.rotation % 180:
        height, width, aspect = width, height, 1 / aspect
    rate = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
    return VideoInfo(
        height=height,
        width=width,
        pixel_aspect=aspect,
        rate=Fraction(rate),
        time_base=Fraction(stream.time_base or 1 / Fraction(rate)),
        color=color_of(frame),
    )
