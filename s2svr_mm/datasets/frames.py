# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Reading frames from image files, video files and raw YUV 4:2:0 files.

A *frame reference* names one frame in one string: the path of an image file, or the path of a
video or YUV file followed by ``#`` and the frame's number from 0, e.g. ``walk.mp4#12``.
"""

import functools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import av
import cv2
import numpy as np

IMAGE_SUFFIXES = frozenset(['.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.ppm'])
VIDEO_SUFFIXES = frozenset(
    ['.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.ts']
).union(['.y4m', '.264', '.h264', '.265', '.h265', '.hevc'])
YUV_SUFFIXES = frozenset(['.yuv'])
# Other containers' seeks miss their target or lose the frames' times.
SEEKABLE_FORMATS = ('mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm')


class DataError(ValueError):
    """Data that can't be used; the message names the file and what to do about it."""


def suffix_of(path: str) -> str:
    """The lower-case ending of a file name, with its dot."""
    return PurePath(path).suffix.lower()


def frame_reference(path: str, index: int) -> str:
    """Name frame ``index`` of a video or YUV file."""
    return f'{path}#{index}'


def split_reference(reference: str) -> tuple[str, int | None]:
    """Split a frame reference into the file and the frame's number (None for an image)."""
    path, mark, number = reference.rpartition('#')
    if mark and number.isdigit() and suffix_of(path) in VIDEO_SUFFIXES | YUV_SUFFIXES:
        return path, int(number)
    return reference, None


def read_frames(
    references: Sequence[str], yuv_size: tuple[int, int] | None = None
) -> list[np.ndarray]:
    """Read frames in the order they are asked for.

    Args:
        references (Sequence[str]): Frame references.
        yuv_size (tuple[int, int], optional): (width, height) of raw YUV files whose names do
            not tell it.

    Returns:
        list[np.ndarray]: RGB frames (h, w, 3) in [0, 255], uint8, or float32 where the image
        file holds 16 bits a channel (``value / 257``, so nothing is rounded away).

    Raises:
        DataError: A file is missing, damaged, or of a kind that can't be read.
    """
    by_file: dict[str, list[int]] = {}
    places = []
    for reference in references:
        path, index = split_reference(reference)
        wanted = by_file.setdefault(path, [])
        places.append((path, len(wanted)))
        wanted.append(0 if index is None else index)
    frames = {}
    for path, indices in by_file.items():
        suffix = suffix_of(path)
        if suffix in VIDEO_SUFFIXES:
            frames[path] = read_video(path, indices)
        elif suffix in YUV_SUFFIXES:
            frames[path] = [yuv420_to_rgb(f) for f in read_yuv420(path, indices, yuv_size)]
        else:
            frames[path] = [read_image(path)] * len(indices)
    return [frames[path][place] for path, place in places]


def read_image(path: str) -> np.ndarray:
    """Read one image file as RGB.

    Grey images get three equal channels; an alpha channel is dropped if it is opaque everywhere
    and refused otherwise; 16-bit images become float32 in [0, 255]. A JPEG's orientation tag is
    applied.

    Args:
        path (str): The image file.

    Returns:
        np.ndarray: (h, w, 3), uint8 or float32, RGB in [0, 255].

    Raises:
        DataError: The file is missing, truncated, damaged, transparent or not an image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f'Cannot read the frame {path}: {error.strerror}.') from error
    # cv2 applies a JPEG's orientation only when asked for colour.
    flag = cv2.IMREAD_COLOR if suffix_of(path) in ('.jpg', '.jpeg') else cv2.IMREAD_UNCHANGED
    image = cv2.imdecode(data, flag) if data.size else None
    if image is None:
        raise DataError(
            f'The frame {path} ({data.size} bytes) is truncated, damaged or not an image. '
            'Copy or extract it again.'
        )
    if image.dtype == np.uint16:
        image = (image / np.float32(257)).astype(np.float32)
    elif image.dtype != np.uint8:
        raise DataError(
            f'The frame {path} holds {image.dtype} pixels; convert it to an 8-bit or 16-bit PNG.'
        )
    if image.ndim == 2:
        image = image[:, :, None]
    channels = image.shape[2]
    if channels in (2, 4):
        if image[:, :, -1].min() < 255:
            raise DataError(
                f'The frame {path} is partly transparent, so its colours are not defined. '
                'Flatten it onto a background.'
            )
        image = image[:, :, :-1]
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return np.ascontiguousarray(image[:, :, ::-1])


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
    if not container.streams.video:
        container.close()
        raise DataError(f'{path} holds no video stream.')
    container.streams.video[0].codec_context.options = {'err_detect': 'crccheck+bitstream+explode'}
    return container


def decode_video(
    container: av.container.InputContainer, path: str, start: int | None = None
) -> Iterator[av.VideoFrame]:
    """Decode the frames of an open video in display order.

    Args:
        container (av.container.InputContainer): What :func:`open_video` returned.
        path (str): The file, for messages.
        start (int, optional): Presentation time of a keyframe. All packets before it are passed
            over, and those of an open group of pictures that are shown before it.

    Yields:
        av.VideoFrame: Each frame.

    Raises:
        DataError: A frame can't be decoded without errors.
    """
    started = start is None
    time = 'the start'
    try:
        for packet in container.demux(video=0):
            started = started or packet.pts == start
            if not started or (start is not None and packet.size and packet.pts < start):
                continue
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
        # VP8 packets may hold frames that are never shown.
        packets_are_frames = container.streams.video[0].codec_context.name != 'vp8'
        packets = [p for p in container.demux(video=0) if p.size and not p.is_discard]
        seekable = container.format.name in SEEKABLE_FORMATS
    times = [p.pts for p in packets]
    if not packets_are_frames or None in times or len(set(times)) < len(times):
        with open_video(path) as container:
            times = [frame.pts for frame in decode_video(container, path)]
    if not seekable or None in times or len(set(times)) < len(times):
        return VideoIndex(len(times), np.empty(0, np.int64), np.empty((0, 2), np.int64))
    keyframes = [(p.pts, p.pts if p.dts is None else p.dts) for p in packets if p.is_keyframe]
    return VideoIndex(len(times), np.array(sorted(times)), np.array(sorted(keyframes)))


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
        for count, frame in enumerate(decode_video(container, path, start)):
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


def yuv_frame_size(path: str, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Width and height of a raw YUV file: as given, or from a name such as ``x_352x288_300.yuv``.

    Raises:
        DataError: The size is unknown or odd.
    """
    if size is None:
        match = re.search(r'_(\d+)x(\d+)(?=[_.])', os.path.basename(path))
        if match is None:
            raise DataError(
                f'{path} does not tell its frame size. Name it like walk_352x288_300.yuv or give '
                'yuv_size=(width, height).'
            )
        size = (int(match[1]), int(match[2]))
    if size[0] % 2 or size[1] % 2 or min(size) < 2:
        raise DataError(
            f'{path}: 4:2:0 video needs an even width and height, got {size[0]}x{size[1]}.'
        )
    return size


def count_yuv_frames(path: str, size: tuple[int, int] | None = None) -> int:
    """Number of frames in a raw YUV 4:2:0 file of 8 bits.

    Raises:
        DataError: The file's length is no multiple of its frame size.
    """
    width, height = yuv_frame_size(path, size)
    frame_bytes = width * height * 3 // 2
    length = os.path.getsize(path)
    if length == 0 or length % frame_bytes:
        raise DataError(
            f'{path} holds {length} bytes, which is no multiple of the {frame_bytes} bytes of a '
            f'{width}x{height} 4:2:0 frame of 8 bits: it is cut off, or its size is another.'
        )
    return length // frame_bytes


def read_yuv420(
    path: str, indices: Sequence[int], size: tuple[int, int] | None = None
) -> list[np.ndarray]:
    """Read some frames of a raw YUV 4:2:0 file (planes Y, U, V; 8 bits).

    Args:
        path (str): The YUV file.
        indices (Sequence[int]): Frame numbers from 0.
        size (tuple[int, int], optional): (width, height); None takes it from the name.

    Returns:
        list[np.ndarray]: Frames (h * 3 / 2, w), uint8: Y, then U and V as they lie in the file.
    """
    width, height = yuv_frame_size(path, size)
    count = count_yuv_frames(path, size)
    frame_bytes = width * height * 3 // 2
    frames = []
    with open(path, 'rb') as file:
        for index in indices:
            if index >= count:
                raise DataError(f'{path} has {count} frames; frame {index} was asked for.')
            file.seek(index * frame_bytes)
            frame = np.frombuffer(file.read(frame_bytes), np.uint8)
            frames.append(frame.reshape(height * 3 // 2, width))
    return frames


def yuv420_to_rgb(frame: np.ndarray) -> np.ndarray:
    """Convert a frame of :func:`read_yuv420` to RGB (BT.601, limited range, nearest chroma).

    Args:
        frame (np.ndarray): (h * 3 / 2, w), uint8.

    Returns:
        np.ndarray: (h, w, 3), uint8.
    """
    return cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)
