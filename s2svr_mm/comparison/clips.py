# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The clips that methods are compared on, checked before any work."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..datasets import VideoClipDataset
from ..datasets.preparation.degradations import check_name, check_scale, degrade_frames
from ..datasets.preparation.writing import write_folders
from ..errors import ConfigError, DataError
from ..io.clips import find_clips, open_reader
from ..io.images import to_levels


@dataclass(frozen=True)
class ComparedClip:
    """A clip with or without its ground truth.

    Attributes:
        group (str): The set that it belongs to.
        key (str): Its name in the set.
        lq (str): What is restored: a folder of frames, a video or a raw YUV file.
        gt (str, optional): Its ground truth, likewise.
        num_frames (int): How many frames are compared, from the first on.
    """

    group: str
    key: str
    lq: str
    gt: str | None
    num_frames: int

    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Yield the frames with their ground truth, (h, w, 3), RGB, float32 in [0, 255]."""
        degraded = _levels(self.lq, self.num_frames)
        if self.gt is None:
            yield from ((frame.astype(np.float32), None) for frame in degraded)
            return
        truths = _levels(self.gt, self.num_frames)
        for frame, truth in zip(degraded, truths, strict=True):
            yield frame.astype(np.float32), truth.astype(np.float32)

    def degraded(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Read some of the frames that are restored, (h, w, 3), RGB, [0, 255]."""
        return [to_levels(frame.rgb) for frame in open_reader(self.lq).read(indices)]

    def fingerprint(self) -> dict[str, str | int | None]:
        """Return what changes when the data does, as plain data."""
        return {
            'input': open_reader(self.lq).fingerprint(0, self.num_frames),
            'ground truth': None
            if self.gt is None
            else open_reader(self.gt).fingerprint(0, self.num_frames),
            'number of frames': self.num_frames,
        }


def paired_clips(
    group: str, lq: str, gt: str, scale: int, frames: int | None = None
) -> list[ComparedClip]:
    """Clips that lie beside their ground truth.

    Args:
        group (str): Name of the set.
        lq (str): A folder of clips, or one clip: a folder of frames, a video or a raw YUV file.
        gt (str): The same for the ground truth, with the same names.
        scale (int): Size of the ground truth over that of the input.
        frames (int, optional): Take the first so many of each clip. Default: None, all.

    Returns:
        list[ComparedClip]: The clips in natural order.

    Raises:
        DataError: One of them is missing, or they do not belong together.
    """
    for path in (lq, gt):
        check_exists(group, path)
    clips = []
    found = VideoClipDataset(dict(img=lq, gt=gt), test_mode=True)
    for info in (found.get_data_info(index) for index in range(len(found))):
        lq_clip, gt_clip = info['img_clip'], info['gt_clip']
        size, true_size = ((c.info.height, c.info.width) for c in (lq_clip, gt_clip))
        if (size[0] * scale, size[1] * scale) != true_size:
            raise DataError(
                f'{group}, clip "{info["key"]}": the frames of {lq} are {_size(size)} and those of '
                f'{gt} {_size(true_size)}, but the networks restore at scale {scale}: the ground '
                f'truth must be {_size((size[0] * scale, size[1] * scale))}'
            )
        length = min(frames or info['sequence_length'], info['sequence_length'])
        clips.append(ComparedClip(group, info['key'], lq_clip.path, gt_clip.path, length))
    return clips


def check_degradation(group: str, degradation: str, scale: int) -> None:
    """Refuse a degradation that is unknown, or does not go with a scale.

    Args:
        group (str): Name of the set.
        degradation (str): See :func:`.preparation.degradations.check_name`.
        scale (int): Size of the ground truth over that of the input.

    Raises:
        ConfigError: It can't be used.
    """
    try:
        check_name(degradation)
        check_scale(degradation, scale)
    except ConfigError as error:
        raise ConfigError(f'{group}: --degrade: {error}') from None


def degraded_clips(
    group: str,
    gt: str,
    degradation: str,
    scale: int,
    folder: Path,
    frames: int | None = None,
    progress: bool = False,
) -> list[ComparedClip]:
    """Clips of ground truth alone, degraded here.

    Degraded clips are written once, so that all methods see the same. Their folder's name tells
    what they were made of.

    Args:
        group (str): Name of the set.
        gt (str): A folder of clips, or one clip.
        degradation (str): See :func:`.preparation.degradations.check_name`.
        scale (int): Size of the ground truth over that of the input.
        folder (Path): Where degraded clips go.
        frames (int, optional): Take the first so many of each clip. Default: None, all.
        progress (bool): Whether to show a progress bar. Default: False.

    Returns:
        list[ComparedClip]: The clips in natural order.

    Raises:
        ConfigError: The degradation is unknown, or does not go with the scale.
        DataError: The clips are missing, damaged or too short.
    """
    check_degradation(group, degradation, scale)
    check_exists(group, gt)
    clips = []
    found = tqdm(
        find_clips(gt).items(), desc=f'{group}: {degradation}', unit='clips', disable=not progress
    )
    for key, path in found:
        provenance = f'{open_reader(path).fingerprint(0, frames)} {degradation} {scale} {frames}'
        name = hashlib.sha256(provenance.encode()).hexdigest()[:16]
        lq_folder, gt_folder = (folder / name / kind for kind in ('lq', 'gt'))
        pairs = degrade_frames(_levels(path, frames), degradation, scale)
        write_folders([lq_folder, gt_folder], (pair[::-1] for pair in pairs), folder)
        if not os.listdir(lq_folder):
            raise DataError(f'{path} is too short for --degrade {degradation}')
        length = open_reader(str(lq_folder)).num_frames
        clips.append(ComparedClip(group, key, str(lq_folder), str(gt_folder), length))
    return clips


def clips_without_truth(group: str, src: str, frames: int | None = None) -> list[ComparedClip]:
    """Clips of which there is no ground truth.

    Args:
        group (str): Name of the set.
        src (str): A video, a folder of frames, or a folder of such.
        frames (int, optional): Take the first so many of each clip. Default: None, all.

    Returns:
        list[ComparedClip]: The clips in natural order.

    Raises:
        DataError: There are none, or they can't be read.
    """
    check_exists(group, src)
    found = {key: open_reader(path) for key, path in find_clips(src).items()}
    return [
        ComparedClip(group, key, clip.path, None, min(frames or clip.num_frames, clip.num_frames))
        for key, clip in found.items()
    ]


def check_exists(group: str, path: str) -> None:
    """Refuse a path of a set that is not there.

    Args:
        group (str): The set's name.
        path (str): A folder or a file.

    Raises:
        DataError: There is none.
    """
    if not os.path.exists(path):
        raise DataError(
            f'{group}: there is no {path}. Give a folder of frames, a video, or a folder of such'
        )


def _levels(path: str, stop: int | None = None) -> Iterator[np.ndarray]:
    """Return the frames of a clip, (h, w, 3), RGB, [0, 255], up to a number."""
    return (to_levels(frame.rgb) for frame in open_reader(path).iterate(0, stop))


def _size(shape: Sequence[int]) -> str:
    return f'{shape[1]}x{shape[0]}'
