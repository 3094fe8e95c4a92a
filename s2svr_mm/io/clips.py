# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Finding clips on disk and opening them: folders of frames, videos, raw YUV, animated images."""

import glob
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

from ..errors import DataError
from .images import AnimationReader, ImageReader, count_pictures
from .paths import IMAGE_SUFFIXES, VIDEO_SUFFIXES, YUV_SUFFIXES, suffix_of
from .reader import Reader
from .video import VideoReader
from .video_index import holds_video
from .yuv import YuvReader

SINGLE_CLIP = 'clip'
_RATE = Fraction(25)
# Files expected beside clips, about which there is no warning.
_SIDECARS = frozenset(['', '.txt', '.json', '.md', '.csv', '.xml', '.yml', '.yaml', '.log', '.ini'])
_SIDECARS = _SIDECARS.union(['.html', '.pdf', '.nfo', '.srt', '.vtt', '.ass', '.ssa', '.db', '.py'])
_IMAGE_HEADS = b'\xff\xd8\xff', b'\x89PNG', b'GIF8', b'II*\0', b'MM\0*'
# Files of these kinds may hold more than one picture.
_PAGED_SUFFIXES = frozenset(['.gif', '.webp', '.apng', '.png', '.tif', '.tiff'])
_TOLD = 5


def natural_key(name: str) -> list[int | str]:
    """Return a sort key that puts ``im10.png`` after ``im9.png``."""
    parts = re.split(r'([0-9]+)', name)
    return [int(part) if place % 2 else part.lower() for place, part in enumerate(parts)]


def find_clips(root: str) -> dict[str, str]:
    """Find every clip under a folder, at any depth; warn of the files that are none.

    Args:
        root: A folder of clips, a folder of frames (one clip), or one file.

    Returns:
        Path of each clip by its key: its path relative to ``root`` with ``/`` and without a file's
        ending, or 'clip' if ``root`` is the clip itself; in natural order.

    Raises:
        DataError: Nothing is found, or two clips share a key.
    """
    if os.path.isfile(root):
        return {SINGLE_CLIP: root}
    if not os.path.isdir(root):
        raise DataError(f'{root} does not exist')
    search = _Search()
    search.folder(root, '', frozenset())
    if search.left_out:
        told = ', '.join(search.left_out[:_TOLD])
        more = f' and {len(search.left_out) - _TOLD} more' if len(search.left_out) > _TOLD else ''
        warnings.warn(f'Left out of {root}, as they are no clips: {told}{more}', stacklevel=2)
    if not search.clips:
        raise DataError(f'{root} holds no clips: no frames ({_listed(IMAGE_SUFFIXES)}), no videos.')
    return search.clips


class _Search:
    """Clips that were found, and files that are none."""

    def __init__(self) -> None:
        self.clips: dict[str, str] = {}
        self.left_out: list[str] = []

    def folder(self, folder: str, key: str, above: frozenset[str]) -> None:
        """Search a folder and those in it.

        Args:
            folder: The folder.
            key: Its key.
            above: Real paths of the folders that it lies in.
        """
        above |= {os.path.realpath(folder)}
        found_before, images = len(self.clips), []
        for entry in sorted(os.scandir(folder), key=lambda e: natural_key(e.name)):
            if entry.name.startswith('.'):
                continue
            name = f'{key}/{entry.name}' if key else entry.name
            if _is(entry.is_dir):
                if os.path.realpath(entry.path) in above:
                    self.left_out.append(f'{entry.path} (a link that leads back)')
                else:
                    self.folder(entry.path, name, above)
            elif not _is(entry.is_file):
                self.left_out.append(f'{entry.path} (a link that leads nowhere)')
            elif suffix_of(entry.name) in IMAGE_SUFFIXES:
                images.append(entry.path)
            elif suffix_of(entry.name) in VIDEO_SUFFIXES | YUV_SUFFIXES or holds_video(entry.path):
                self.add(os.path.splitext(name)[0], entry.path)
            elif suffix_of(entry.name) not in _SIDECARS:
                self.left_out.append(entry.path)
        several = _of_several_pictures(images)
        for image in several:
            stem = os.path.splitext(os.path.basename(image))[0]
            self.add(f'{key}/{stem}' if key else stem, image)
        if len(several) == len(images):
            return
        if len(self.clips) > found_before:
            raise DataError(
                f'{folder} holds both frames and further clips. Move the frames into a folder of '
                'their own, or take the other clips out.'
            )
        self.add(key or SINGLE_CLIP, folder)

    def add(self, key: str, path: str) -> None:
        """Add a clip.

        Args:
            key: Its key.
            path: Where it lies.
        """
        if key in self.clips:
            raise DataError(
                f'Two clips are called "{key}": {self.clips[key]} and {path}. Rename one.'
            )
        self.clips[key] = path


def _is(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of a kind; a link to itself is of none."""
    try:
        return kind()
    except OSError:
        return False


def _of_several_pictures(images: Sequence[str]) -> list[str]:
    """Those image files that are clips by themselves; one of each kind stands for all others."""
    several = []
    for suffix in {suffix_of(image) for image in images} & _PAGED_SUFFIXES:
        alike = [image for image in images if suffix_of(image) == suffix]
        if count_pictures(alike[0]) > 1:
            several += [image for image in alike if count_pictures(image) > 1]
    return sorted(several, key=natural_key)


def locate_clip(root: str, key: str) -> str:
    """Return the path of the clip ``key`` under ``root``.

    Args:
        root: A folder of clips.
        key: A folder's name, or a file's with or without its ending; with ``/`` in between.

    Raises:
        DataError: There is no such clip, or there are two.
    """
    path = os.path.join(root, key)
    if os.path.exists(path):
        return path
    folder, name = os.path.split(path)
    found = []
    if os.path.isdir(folder) and name:
        for entry in os.scandir(folder):
            stem, suffix = os.path.splitext(entry.name)
            if stem == name and suffix and _is(entry.is_file) and _is_clip(entry.path):
                found.append(entry.path)
    if len(found) > 1:
        raise DataError(f'{root} has several clips "{key}": {", ".join(sorted(found))}.')
    if not found:
        raise DataError(f'{root} has no clip "{key}" (a folder of frames, a video or a YUV file).')
    return found[0]


def _is_clip(path: str) -> bool:
    """Whether a file is a clip by itself."""
    if suffix_of(path) in IMAGE_SUFFIXES:
        return count_pictures(path) > 1
    return suffix_of(path) in VIDEO_SUFFIXES | YUV_SUFFIXES or holds_video(path)


def open_reader(
    path: str,
    rate: Fraction | None = None,
    yuv_size: tuple[int, int] | None = None,
    strict: bool = False,
) -> Reader:
    """Open a clip, by what it holds and not by its name.

    Args:
        path: A video file, a raw YUV file, a folder of frames, an image file, or a glob of image
            files such as ``'frames/*.png'``.
        rate: Frames per second where no file states it: of frames, pages and raw YUV. Defaults to
            None, which is 25. A video has its own.
        yuv_size: (width, height) of a YUV file whose name does not tell it. Defaults to None.
        strict: Refuse a video with damaged frames, when it is opened or where one is read.
            Defaults to False.

    Returns:
        The frames.

    Raises:
        DataError: There is nothing to read, a folder of frames has a hole in its numbering, or the
            file is of no kind that can be read.
    """
    if os.path.isdir(path):
        return open_folder(path, rate or _RATE)
    if not os.path.exists(path):
        return _open_glob(path, rate or _RATE)
    if suffix_of(path) in YUV_SUFFIXES:
        return YuvReader(path, rate or _RATE, yuv_size)
    if _is_image(path):
        if count_pictures(path) > 1:
            return AnimationReader(path, rate or _RATE)
        return ImageReader(path, [path], rate=rate or _RATE)
    if rate is not None:
        raise DataError(f'{path} has a frame rate of its own; --fps is for frames and raw YUV.')
    return VideoReader(path, strict)


def _is_image(path: str) -> bool:
    if suffix_of(path) in IMAGE_SUFFIXES:
        return True
    if suffix_of(path) in VIDEO_SUFFIXES:
        return False
    with open(path, 'rb') as file:
        head = file.read(12)
    return head.startswith(_IMAGE_HEADS) or head[8:] == b'WEBP'


def open_folder(path: str, rate: Fraction = _RATE) -> ImageReader:
    """Open a folder of frames.

    Args:
        path: The folder.
        rate: Frames per second. Defaults to 25.

    Raises:
        DataError: It holds no frames, or its numbering has a hole.
    """
    names = [
        e.name
        for e in os.scandir(path)
        if suffix_of(e.name) in IMAGE_SUFFIXES and not e.name.startswith('.') and _is(e.is_file)
    ]
    if not names:
        # What is there instead tells what to do.
        try:
            clips = list(find_clips(path).values())
        except DataError:
            clips = []
        if clips:
            raise DataError(f'{path} holds no frames, but clips. Give one of them: {clips[0]}')
    names.sort(key=natural_key)
    check_numbering(path, names)
    return ImageReader(path, names, path, rate)


def _open_glob(path: str, rate: Fraction) -> ImageReader:
    if not glob.has_magic(path):
        raise DataError(f'There is no {path}.')
    # What exists by its very name is no pattern: 'take[1]/*.png'.
    folder, pattern = os.path.dirname(path), os.path.basename(path)
    pattern = os.path.join(glob.escape(folder), pattern) if os.path.isdir(folder) else path
    found = sorted(glob.glob(pattern), key=natural_key)
    images = [image for image in found if suffix_of(image) in IMAGE_SUFFIXES]
    if not images:
        instead = f', but {found[0]}: give one video at a time' if found else ''
        raise DataError(f'{path} matches no image files{instead}.')
    return ImageReader(path, images, rate=rate)


def check_numbering(folder: str, names: Sequence[str]) -> None:
    """Refuse a folder of frames in which a number is missing or taken twice.

    Names that are not numbered in even steps, such as time stamps, are let through.

    Args:
        folder: The folder, for the message.
        names: File names in natural order.

    Raises:
        DataError: The folder is empty, a number is missing in the middle, or taken twice.
    """
    if not names:
        raise DataError(f'{folder} holds no frames ({_listed(IMAGE_SUFFIXES)}).')
    stems = [os.path.splitext(name)[0] for name in names]
    for first, second in pairwise(names):
        if os.path.splitext(first)[0] == os.path.splitext(second)[0]:
            raise DataError(f'{folder} holds one frame twice: {first} and {second}. Remove one.')
    found = (re.fullmatch(r'(.*?)([0-9]+)([^0-9]*)', stem) for stem in stems)
    matches = [match for match in found if match]
    if len(matches) < len(stems) or len({(m[1], m[3]) for m in matches}) > 1:
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


def number_of(name: str) -> int | None:
    """Return the last number in a frame's name without its ending; None if there is none."""
    numbers = re.findall(r'[0-9]+', os.path.splitext(os.path.basename(name))[0])
    return int(numbers[-1]) if numbers else None


def _listed(suffixes: frozenset[str]) -> str:
    return ', '.join(sorted(suffixes))
