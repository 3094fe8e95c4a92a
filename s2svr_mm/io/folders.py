# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Folders of videos: which they hold, and about how long each is."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from ..errors import DataError
from .clips import natural_key
from .media import open_video, video_stream
from .paths import IMAGE_SUFFIXES, VIDEO_SUFFIXES, YUV_SUFFIXES, suffix_of

_VIDEOS = VIDEO_SUFFIXES | YUV_SUFFIXES


def is_batch(src: str, pattern: str | None) -> bool:
    """Whether an input is a folder of videos, and not a clip.

    Args:
        src: The input.
        pattern: What names of videos have to match; None if none was given.

    Raises:
        DataError: It holds frames as well as videos, or a pattern is given without a folder.
    """
    if not os.path.isdir(src):
        if pattern is not None:
            raise DataError(f'{src} is not a folder, so --pattern has nothing to choose from.')
        return False
    if pattern is not None:
        return True
    suffixes = {suffix_of(e.name) for e in os.scandir(src) if not e.name.startswith('.')}
    if not suffixes & IMAGE_SUFFIXES:
        return next(_files(src, None), None) is not None
    if suffixes & _VIDEOS:
        ending = min(suffixes & _VIDEOS)
        image = min(suffixes & IMAGE_SUFFIXES)
        raise DataError(
            f"{src} holds both frames and videos. Give --pattern '*{ending}' for the videos, or "
            f"'{os.path.join(src, '*' + image)}' for the frames."
        )
    return False


def find_videos(root: str, pattern: str | None = None, leave_out: str | None = None) -> list[str]:
    """Find the video files of a folder and of those in it, by their endings.

    Args:
        root: The folder.
        pattern: What names, or paths below the folder, have to match, such as ``'*.mp4'``.
            Defaults to None: all with an ending of videos.
        leave_out: A folder that is not searched. Defaults to None.

    Returns:
        Paths below the folder, in natural order.

    Raises:
        DataError: There are none.
    """
    found = sorted(_files(root, pattern, leave_out), key=natural_key)
    if not found:
        what = f"no videos that match '{pattern}'" if pattern else 'no videos'
        raise DataError(f'{root} holds {what}, and neither do the folders in it.')
    return found


def _files(root: str, pattern: str | None, leave_out: str | None = None) -> Iterator[str]:
    left_out = os.path.realpath(leave_out) if leave_out else None
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen or real == left_out:
            folders.clear()
            continue
        seen.add(real)
        # What a stopped call has left is no input.
        folders[:] = sorted(f for f in folders if not f.startswith('.') and f[-6:] != '.parts')
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            wanted = suffix_of(name) in _VIDEOS
            if pattern is not None:
                wanted = fnmatch(name, pattern) or fnmatch(path, pattern)
            if wanted and not name.startswith('.') and os.path.isfile(os.path.join(folder, name)):
                yield Path(path).as_posix()


def estimated_frames(path: str) -> int:
    """Estimate the number of frames from what a file says of itself; 0 if it says nothing."""
    try:
        with open_video(path) as container:
            stream = video_stream(container, path)
            if stream.frames:
                return stream.frames
            seconds = (container.duration or 0) / 1e6
            return round(seconds * float(stream.average_rate or 0))
    except DataError:
        return 0
