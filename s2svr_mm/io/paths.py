# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Names of frames on disk, and the error for data that can't be used.

A *frame reference* names one frame in one string: the path of an image file, or the path of a
video or YUV file followed by ``#`` and the frame's number from 0, e.g. ``walk.mp4#12``.
"""

from pathlib import PurePath

IMAGE_SUFFIXES = frozenset(['.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp', '.ppm'])
VIDEO_SUFFIXES = frozenset(
    ['.mp4', '.mov', '.m4v', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.ts']
).union(['.y4m', '.264', '.h264', '.265', '.h265', '.hevc'])
YUV_SUFFIXES = frozenset(['.yuv'])


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
