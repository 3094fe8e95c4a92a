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
from ..io.media import open_video, video_stream
from ..io.reader import Reader
from ..restoration.segments import FrameStream, Stretch
from ..utils.files import PART, commit

# Longest side of what browsers are asked to play.
_LONGEST = 2560
_SOUND = frozenset(['aac', 'mp3', 'opus', 'flac'])
_BT709 = 1


def make_playable(
    source: Path,
    result: Path,
    folder: Path,
    frames: tuple[int, int | None] = (0, None),
    resize: bool = False,
) -> list[str]:
    """Make files of a video and of what was restored of it that browsers play in step.

    Args:
        source (Path): The video.
        result (Path): What was restored of it.
        folder (Path): Where the files go; older ones are replaced.
        frames (tuple[int, int | None]): First frame that was restored and the one after the last;
            None for the end. Defaults to all.
        resize (bool): Whether frames of another size than the first are scaled to that, as in the
            result. Defaults to False.

    Returns:
        list[str]: Names of the files for input and result: a hard link where browsers play the
        video itself, else an H.264 copy. Frames are shown at the result's times.

    Raises:
        DataError: A video can't be read.
        FFmpegError: It can't be encoded.
    """
    restored, given = open_reader(str(result)), open_reader(str(source))
    whole = frames == (0, None) and _same_times(given, restored)
    names = []
    for name, path, stretch in (
        ('play-input', source, Stretch(given, *frames, None, resize)),
        ('play-result', result, Stretch(restored, 0, None, None, False)),
    ):
        target = folder / name
        as_it_is = (whole or path is result) and is_playable(path)
        made = _link(path, target) if as_it_is else None
        names.append((made or _copy(stretch, restored, target.with_suffix('.mp4'))).name)
    return names


def _same_times(a: Reader, b: Reader) -> bool:
    """Whether frames of two videos are shown at the same times, to a millisecond."""
    if a.num_frames != b.num_frames:
        return False
    first, second = (np.array(r.times) * float(r.info.time_base) for r in (a, b))
    return bool(np.abs(first - second).max() < 1e-3)


def _link(path: Path, target: Path) -> Path | None:
    """Make a hard link to a video; None if it is on another disk."""
    linked = target.with_suffix(path.suffix.lower())
    linked.unlink(missing_ok=True)
    try:
        os.link(path, linked)
    except OSError:
        return None
    return linked


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


def _copy(stretch: Stretch, restored: Reader, target: Path) -> Path:
    """Write a video as H.264 in 4:2:0, with the times of the restored one."""
    part = target.with_name(target.name + PART)
    info = stretch.reader.info_at(stretch.start)
    shown = min(1, _LONGEST / max(info.height, info.width))
    # 4:2:0 has an even number of rows and columns.
    width, height = (max(round(side * shown / 2) * 2, 2) for side in (info.width, info.height))
    color = ColorInfo(matrix=_BT709, color_range=LIMITED_RANGE)
    with av.open(str(part), 'w', format='mp4', options={'movflags': 'faststart'}) as container:
        video = container.add_stream('libx264', options={'crf': '16', 'preset': 'veryfast'})
        video.width, video.height, video.pix_fmt = width, height, 'yuv420p'
        context = video.codec_context
        context.time_base, context.framerate = restored.info.time_base, restored.info.rate
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = LIMITED_RANGE
        stream = FrameStream(stretch, 0, (info.height, info.width))
        # The result may end before the input does.
        for time, frame in zip(restored.times, stream, strict=False):
            picture = from_rgb(_fitted(frame.rgb, width, height), 'yuv420p', color)
            picture.pts, picture.time_base = time, restored.info.time_base
            container.mux(video.encode(picture))
        container.mux(video.encode())
    commit(part, target)
    return target


def _fitted(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    pixels = to_uint8(to_levels(rgb))
    if pixels.shape[:2] == (height, width):
        return pixels
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
