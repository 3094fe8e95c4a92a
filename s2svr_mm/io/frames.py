# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Reading frames, whatever kind of file they lie in."""

from collections.abc import Iterator, Sequence

import numpy as np

from .clips import open_clip
from .images import read_image
from .paths import VIDEO_SUFFIXES, YUV_SUFFIXES, split_reference, suffix_of
from .video import decode_video, open_video, read_video, video_to_rgb
from .yuv import read_yuv420, yuv420_to_rgb


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


def iterate_frames(path: str) -> Iterator[np.ndarray]:
    """Read a clip from its first frame to its last, one at a time.

    Args:
        path (str): A folder of frames, a video file or a raw YUV file.

    Yields:
        np.ndarray: RGB frames, as :func:`read_frames` gives them.

    Raises:
        DataError: The clip is empty, has a hole in its numbering, or is damaged.
    """
    if suffix_of(path) in VIDEO_SUFFIXES:
        open_clip(path)
        with open_video(path) as container:
            yield from map(video_to_rgb, decode_video(container, path))
    else:
        for reference in open_clip(path).references():
            yield from read_frames([reference])
