# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Finding clips on disk: folders of frames, video files and raw YUV files."""

import glob
import os
import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from ..errors import DataError
from .images import ImageReader
from .paths import IMAGE_SUFFIXES, VIDEO_SUFFIXES, YUV_SUFFIXES, frame_reference, suffix_of
from .reader import Reader
from .video import VideoReader, index_video
from .yuv import YuvReader, count_yuv_frames

SINGLE_CLIP = 'clip'


@dataclass(frozen=True)
class Clip:
    """A clip on disk.

    Attributes:
        path (str): A folder of frames, a video file or a YUV file.
        num_frames (int): Its length.
        names (tuple[str, ...]): The frames' file names in order, for a folder.
    """

    path: str
    num_frames: int
    names: tuple[str, ...] = ()

    def references(self) -> list[str]:
        """One frame reference (see :mod:`.references`) for each frame, in order."""
        if self.names:
            return [os.path.join(self.path, name) for name in self.names]
        return [frame_reference(self.path, i) for i in range(self.num_frames)]


def natural_key(name: str) -> list:
    """Sort key that puts ``im10.png`` after ``im9.png``."""
    return [int(p) if p.isdigit() else p.lower() for p in re.split(r'([0-9]+)', name)]


def find_clips(root: str) -> dict[str, str]:
    """Find every clip under a folder, at any depth.

    Args:
        root (str): A folder of clips, a folder of frames (one clip), or one video or YUV file.

    Returns:
        dict[str, str]: Path of each clip by its key: its path relative to ``root`` with ``/`` and
        without a file's ending, or 'clip' if ``root`` is the clip itself; in natural order.

    Raises:
        DataError: Nothing is found, or two clips share a key.
    """
    if os.path.isfile(root):
        return {SINGLE_CLIP: root}
    clips: dict[str, str] = {}
    _collect_clips(root, '', clips)
    if not clips:
        raise DataError(f'{root} holds no clips: no frames ({_listed(IMAGE_SUFFIXES)}), no videos.')
    return clips


def _collect_clips(folder: str, key: str, clips: dict[str, str]) -> None:
    found_before = len(clips)
    has_frames = False
    for entry in sorted(os.scandir(folder), key=lambda e: natural_key(e.name)):
        if entry.name.startswith('.'):
            continue
        if entry.is_dir():
            _collect_clips(entry.path, f'{key}/{entry.name}' if key else entry.name, clips)
        elif suffix_of(entry.name) in VIDEO_SUFFIXES | YUV_SUFFIXES:
            stem = os.path.splitext(entry.name)[0]
            _add_clip(f'{key}/{stem}' if key else stem, entry.path, clips)
        elif suffix_of(entry.name) in IMAGE_SUFFIXES:
            has_frames = True
    if has_frames and len(clips) > found_before:
        raise DataError(
            f'{folder} holds both frames and further clips. Move the frames into a folder of '
            'their own, or take the other clips out.'
        )
    if has_frames:
        _add_clip(key or SINGLE_CLIP, folder, clips)


def _add_clip(key: str, path: str, clips: dict[str, str]) -> None:
    if key in clips:
        raise DataError(f'Two clips are called "{key}": {clips[key]} and {path}. Rename one.')
    clips[key] = path


def locate_clip(root: str, key: str) -> str:
    """Path of the clip ``key`` under ``root``: a folder, or a video or YUV file of that name.

    Raises:
        DataError: There is no such clip.
    """
    path = os.path.join(root, key)
    if os.path.exists(path):
        return path
    for suffix in sorted(VIDEO_SUFFIXES | YUV_SUFFIXES):
        if os.path.isfile(path + suffix):
            return path + suffix
    raise DataError(f'{root} has no clip "{key}" (a folder of frames, a video or a YUV file).')


def open_clip(path: str, yuv_size: tuple[int, int] | None = None) -> Clip:
    """List a clip's frames and check that none is missing.

    Args:
        path (str): A folder of frames, a video file or a YUV file.
        yuv_size (tuple[int, int], optional): (width, height) of a YUV file whose name does not
            tell it.

    Returns:
        Clip: The clip.

    Raises:
        DataError: The clip is empty, has a hole in its numbering, or can't be read.
    """
    if os.path.isdir(path):
        names = [
            e.name
            for e in os.scandir(path)
            if suffix_of(e.name) in IMAGE_SUFFIXES and not e.name.startswith('.')
        ]
        names.sort(key=natural_key)
        check_numbering(path, names)
        return Clip(path, len(names), tuple(names))
    if suffix_of(path) in YUV_SUFFIXES:
        return Clip(path, count_yuv_frames(path, yuv_size))
    num_frames = index_video(path).num_frames
    if num_frames == 0:
        raise DataError(f'The video {path} holds no frames.')
    return Clip(path, num_frames)


def check_numbering(folder: str, names: list[str]) -> None:
    """Refuse a folder of frames in which a number is missing or taken twice.

    Names that are not numbered in even steps, such as time stamps, are let through.

    Args:
        folder (str): The folder, for the message.
        names (list[str]): File names in natural order.

    Raises:
        DataError: The folder is empty, a number is missing in the middle, or taken twice.
    """
    if not names:
        raise DataError(f'{folder} holds no frames ({_listed(IMAGE_SUFFIXES)}).')
    stems = [os.path.splitext(name)[0] for name in names]
    for first, second in pairwise(names):
        if os.path.splitext(first)[0] == os.path.splitext(second)[0]:
            raise DataError(f'{folder} holds one frame twice: {first} and {second}. Remove one.')
    matches = [re.fullmatch(r'(.*?)([0-9]+)([^0-9]*)', stem) for stem in stems]
    if any(match is None for match in matches) or len({(m[1], m[3]) for m in matches}) > 1:
        return
    numbers = [int(match[2]) for match in matches]
    steps = [b - a for a, b in pairwise(numbers)]
    counts = Counter(sorted(steps))
    step, count = counts.most_common(1)[0] if steps else (1, 0)
    if 2 * count < len(steps):
        return
    for number, distance in zip(numbers, steps, strict=False):
        if distance != step:
            raise DataError(
                f'{folder}: after number {number} ({names[numbers.index(number)]}) comes '
                f'{number + distance}, where the others go in steps of {step}. Put the missing '
                'frames back, or split the clip there.'
            )


def _listed(suffixes: frozenset[str]) -> str:
    return ', '.join(sorted(suffixes))


def open_reader(
    path: str, rate: Fraction | None = None, yuv_size: tuple[int, int] | None = None
) -> Reader:
    """Open what a person gives.

    Args:
        path (str): A video file, a raw YUV file, a folder of frames, an image file, or a glob of
            image files such as ``'frames/*.png'``.
        rate (Fraction, optional): Frames per second where nothing tells it (frames, raw YUV);
            25 if None. A video keeps its own.
        yuv_size (tuple[int, int], optional): (width, height) of a YUV file whose name does not
            tell it.

    Returns:
        The frames.

    Raises:
        DataError: There is nothing to read, or it is of no kind that can be read.
    """
    if os.path.isdir(path):
        names = open_clip(path).names
        return ImageReader(path, [os.path.join(path, n) for n in names], rate or Fraction(25))
    if not os.path.exists(path):
        if not glob.has_magic(path):
            raise DataError(f'There is no {path}.')
        images = sorted(glob.glob(path), key=natural_key)
        images = [image for image in images if suffix_of(image) in IMAGE_SUFFIXES]
        if not images:
            raise DataError(f'{path} matches no image files.')
        return ImageReader(path, images, rate or Fraction(25))
    if suffix_of(path) in IMAGE_SUFFIXES:
        return ImageReader(path, [path], rate or Fraction(25))
    if suffix_of(path) in YUV_SUFFIXES:
        return YuvReader(path, rate or Fraction(25), yuv_size)
    reader = VideoReader(path)
    if rate is not None:
        raise DataError(f'{path} has a frame rate of its own; --fps is for frames and raw YUV.')
    return reader
