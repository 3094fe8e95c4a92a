# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Preparing a person's own videos: pairs of degraded frames and ground truth."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from pathlib import Path

import cv2
import numpy as np

from ...errors import DataError
from ...io.clips import find_clips, open_reader
from ...io.images import ImageReader, read_image, to_levels
from ...io.paths import IMAGE_SUFFIXES, suffix_of
from ...utils.files import output_folder
from ...utils.manifest import write_made
from .degradations import BLUR_FRAMES, check_name, degrade_frames
from .writing import run_tasks, write_folders

SETTINGS_FILE = 'prepared.json'
# As long as the longest that a config reads, s2svr_s_deblur's 17, and what blur takes at both ends.
PHOTO_FRAMES = 24
PHOTO_SIDE = 960


def prepare_clips(
    src: Path,
    dst: Path,
    degradation: str = 'bi',
    scale: int = 4,
    val: Sequence[str] = (),
    workers: int = 1,
    report: Callable[[str], None] = print,
    halved: bool = False,
    photos: Path | None = None,
) -> None:
    """Make ``train/lq``, ``train/gt``, ``val/lq`` and ``val/gt`` from good videos.

    Frames become 8-bit PNGs named 00000000.png and so on. A second call resumes where the first
    ended.

    Args:
        src (Path): A folder of videos, folders of frames or raw YUV files, at any depth. Only
            ever read.
        dst (Path): The folder to prepare.
        degradation (str): See :func:`.degradations.check_name`. Default: 'bi'.
        scale (int): For all but 'blur' and 'qp', which keep the size. Default: 4.
        val (Sequence[str]): Clips to keep for validation: paths relative to ``src`` without their
            endings. Default: the last clip.
        workers (int): Number of processes.
        report (Callable[[str], None]): Where messages go.
        halved (bool): Whether each clip to train on comes a second time at half its size, as
            ``<name>_half``. What a camera or a codec left soft is sharp there. Default: False.
        photos (Path, optional): A folder of photographs to train on, at any depth, each a clip
            ``photos/<name>`` of 24 equal frames, which :class:`.AddMotion` moves. They become
            smaller by a whole number of times, so that no side is over 960. Default: None.

    Raises:
        DataError: There are fewer than two clips, a clip of ``val`` is unknown, a clip or a
            photograph can't be read, ``dst`` was prepared in another way, a name would be used
            twice, or the disk is full.
    """
    check_name(degradation)
    if not src.is_dir():
        raise DataError(f'{src} is not a folder. Give one that holds videos or folders of frames.')
    if dst.resolve() == src.resolve() or src.resolve() in dst.resolve().parents:
        raise DataError(f'{dst} lies in {src}, which is only read. Choose another --dst.')
    clips = find_clips(str(src))
    if len(clips) < 2:
        raise DataError(
            f'{src} holds one clip; one more is needed, to validate on. Cut a part off the video.'
        )
    val = list(val) or [list(clips)[-1]]
    if unknown := sorted(set(val) - set(clips)):
        raise DataError(f'{src} has no clip {", ".join(unknown)}. It has: {", ".join(clips)}.')
    if len(set(val)) == len(clips):
        raise DataError('All clips are kept for validation; none is left to train on.')
    halves = {f'{key}_half': path for key, path in clips.items() if halved and key not in val}
    if taken := sorted(set(halves) & set(clips)):
        raise DataError(f'{src} has a clip {taken[0]} already. Rename it, or leave out --halved.')
    stills = {} if photos is None else find_photos(photos)
    if taken := sorted(set(stills) & {*clips, *halves}):
        raise DataError(f'{src} has a clip {taken[0]}, as {photos} has. Rename one.')
    settings = dict(degradation=degradation, scale=scale, val=sorted(set(val)))
    if halved:
        settings['halved'] = True
    if stills:
        settings['photos'] = len(stills)
    with output_folder(dst, '--dst'):
        _remember_settings(dst, settings)
        tasks = [
            (path, key, dst / ('val' if key in val else 'train'), degradation, scale, dst, shrink)
            for shrink, group in ((1, clips | stills), (2, halves))
            for key, path in group.items()
        ]
        lengths = run_tasks(prepare_clip, tasks, workers, 'Preparing')
    report(f'{dst} is ready: {len(tasks)} clips, {sum(lengths)} frames; val: {", ".join(val)}.')


def prepare_clip(
    path: str, name: str, folder: Path, degradation: str, scale: int, root: Path, shrink: int = 1
) -> int:
    """Write one clip as ``lq/<name>`` and ``gt/<name>``, unless both are there.

    Args:
        path (str): A folder of frames, a video, a raw YUV file or a photograph.
        name (str): The clip's name.
        folder (Path): The folder of 'lq' and 'gt', in ``root``.
        degradation (str): See :func:`.degradations.check_name`.
        scale (int): As in :func:`prepare_clips`.
        root (Path): The folder being prepared.
        shrink (int): How many times smaller the frames become first. Default: 1.

    Returns:
        int: The number of frames written, or found.

    Raises:
        DataError: The clip can't be read, is too short, or its frames differ in size.
    """
    gt = folder / 'gt' / name
    clip = open_reader(path)
    if isinstance(clip, ImageReader) and clip.path == clip.names[0]:
        frames = still_frames(path)
    else:
        if degradation == 'blur' and clip.num_frames < BLUR_FRAMES:
            raise DataError(f'{path} has fewer frames than the {BLUR_FRAMES} that blur averages.')
        frames = (to_levels(frame.rgb) for frame in clip.iterate())
    if shrink > 1:
        frames = (shrunk(frame, shrink) for frame in frames)
    pairs = degrade_frames(frames, degradation, scale)
    write_folders([gt, folder / 'lq' / name], pairs, root, source=path)
    return open_reader(str(gt)).num_frames


def find_photos(folder: Path) -> dict[str, str]:
    """Find every image file under a folder, at any depth, but for what is hidden.

    Args:
        folder (Path): The folder.

    Returns:
        dict[str, str]: Path of each by 'photos/' and its path in the folder without its ending.

    Raises:
        DataError: There is none, or two have one name.
    """
    photos: dict[str, str] = {}
    for file in sorted(folder.rglob('*')):
        inside = file.relative_to(folder)
        if _is_photo(file) and not any(part.startswith('.') for part in inside.parts):
            key = f'photos/{inside.with_suffix("").as_posix()}'
            if key in photos:
                raise DataError(f'{photos[key]} and {file} would make one clip. Rename one.')
            photos[key] = str(file)
    if not photos:
        raise DataError(f'{folder} holds no photographs ({", ".join(sorted(IMAGE_SUFFIXES))}).')
    return photos


def _is_photo(path: Path) -> bool:
    return suffix_of(path.name) in IMAGE_SUFFIXES and path.is_file()


def still_frames(path: str) -> Iterator[np.ndarray]:
    """Read a photograph lazily as a clip of equal frames.

    Args:
        path (str): The image file.

    Yields:
        np.ndarray: The same frame 24 times, (h, w, 3), no side over 960.
    """
    photo = read_image(path)
    yield from repeat(shrunk(photo, math.ceil(max(photo.shape) / PHOTO_SIDE)), PHOTO_FRAMES)


def shrunk(frame: np.ndarray, times: int) -> np.ndarray:
    """Make a frame smaller by the mean over its area.

    Args:
        frame (np.ndarray): (h, w, 3), uint8.
        times (int): How many times smaller.

    Returns:
        np.ndarray: (h // times, w // times, 3), uint8.
    """
    h, w = frame.shape[:2]
    return cv2.resize(frame, (max(w // times, 1), max(h // times, 1)), interpolation=cv2.INTER_AREA)


def _remember_settings(dst: Path, settings: dict) -> None:
    file = dst / SETTINGS_FILE
    text = json.dumps(settings, indent=2) + '\n'
    if not file.exists():
        write_made(dst, {SETTINGS_FILE: text.encode()})
    elif (before := file.read_text(encoding='utf-8')) != text:
        raise DataError(
            f'{dst} was prepared with other settings, {" ".join(before.split())}; this call has '
            f'{" ".join(text.split())}. Give it the same (--val, if a later clip is last now), '
            'choose another --dst, or remove it.'
        )
