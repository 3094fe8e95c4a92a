# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Files that browsers play, of videos that may be anything."""

import os
from pathlib import Path

import av
import cv2
import numpy as np

from ..io.clips import open_reader
from ..io.color import LIMITED_RANGE, ColorInfo, from_rgb
from ..io.images import to_levels, to_uint8
from ..io.packet_log import read_timeline
from ..io.video_index import open_video, video_stream
from ..restoration.segments import FrameStream, Stretch
from ..utils.files import PART, commit

# Longest side of what browsers are asked to play.
_LONGEST = 2560
_SOUND = frozenset(['aac', 'mp3', 'opus', 'flac'])
_BT709 = 1


def make_playable(
    path: Path, target: Path, frames: tuple[int, int | None] = (0, None), resize: bool = False
) -> Path:
    """Make a file for browsers: the video itself if they play it, else an H.264 copy.

    Args:
        path (Path): The video.
        target (Path): The file to be, without a suffix; an older one is replaced.
        frames (tuple[int, int | None]): First frame and the one after the last; None for the end.
            Defaults to all.
        resize (bool): Whether frames of another size than the first are scaled to that; otherwise
            the copy ends there, as the result does. Defaults to False.

    Returns:
        Path: The file: a hard link to the video, or the copy, of frames at the result's times.

    Raises:
        DataError: The video can't be read.
        FFmpegError: It can't be encoded.
    """
    if frames == (0, None) and is_playable(path):
        linked = target.with_suffix(path.suffix.lower())
        linked.unlink(missing_ok=True)
        try:
            os.link(path, linked)
            return linked
        except OSError:
            pass  # It is on another disk.
    target = target.with_suffix('.mp4')
    part = target.with_name(target.name + PART)
    _transcode(path, part, frames, resize)
    commit(part, target)
    return target


def is_playable(path: Path) -> bool:
    """Whether browsers play a video as it is: H.264 of 8 bits in MP4, from time 0 on."""
    with open_video(str(path)) as container:
        stream = video_stream(container, str(path))
        context = stream.codec_context
        return (
            path.suffix.lower() in ('.mp4', '.m4v')
            and 'mp4' in container.format.name
            and context.name == 'h264'
            and context.pix_fmt in ('yuv420p', 'yuvj420p')
            and max(context.width, context.height) <= _LONGEST
            and not stream.start_time
            and all(audio.codec_context.name in _SOUND for audio in container.streams.audio)
        )


def _transcode(path: Path, target: Path, frames: tuple[int, int | None], resize: bool) -> None:
    reader = open_reader(str(path))
    timeline = read_timeline(reader.path, reader.num_frames) if reader.has_streams else None
    stretch = Stretch(reader, *frames, timeline, resize)
    info = reader.info if frames[0] == 0 else reader.info_at(frames[0])
    shown = min(1, _LONGEST / max(info.height, info.width))
    # 4:2:0 has an even number of rows and columns.
    width, height = (max(round(side * shown / 2) * 2, 2) for side in (info.width, info.height))
    color = ColorInfo(matrix=_BT709, color_range=LIMITED_RANGE)
    with av.open(str(target), 'w', format='mp4', options={'movflags': 'faststart'}) as container:
        video = container.add_stream('libx264', options={'crf': '16', 'preset': 'veryfast'})
        video.width, video.height, video.pix_fmt = width, height, 'yuv420p'
        context = video.codec_context
        context.time_base, context.framerate = info.time_base, info.rate
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = LIMITED_RANGE
        start = stretch.time(frames[0])
        for frame in FrameStream(stretch, 0, (info.height, info.width)):
            picture = from_rgb(_fitted(frame.rgb, width, height), 'yuv420p', color)
            picture.pts, picture.time_base = stretch.time(frame.index) - start, info.time_base
            container.mux(video.encode(picture))
        container.mux(video.encode())


def _fitted(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    pixels = to_uint8(to_levels(rgb))
    if pixels.shape[:2] == (height, width):
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
