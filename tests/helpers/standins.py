# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Downloads of the published structure with fewer, shorter and smaller clips."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from s2svr_mm.datasets.preparation.recipes import RECIPES, UDM10_CLIPS, VID4_FRAMES, Recipe

SIZE = (32, 48)


def write_clip(
    folder: Path, names: Iterable[str], size: tuple[int, int] = SIZE, seed: int = 0
) -> None:
    """Write smooth random frames under these names."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for name in names:
        noise = rng.integers(0, 256, (*size, 3)).astype(np.float32)
        frame = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
        assert cv2.imwrite(str(folder / name), frame)


def scaled(name: str, num_clips: Sequence[int], frames: int | None = None) -> Recipe:
    """A recipe that expects ``num_clips`` clips in its parts, ``frames`` long and of SIZE."""
    recipe = RECIPES[name]
    parts = []
    for part, count in zip(recipe.parts, num_clips, strict=True):
        changes = dict(num_clips=count)
        if frames is not None and part.num_frames is not None:
            changes['num_frames'] = frames
        if frames is not None and part.total_frames is not None:
            changes['total_frames'] = frames * count
        if part.size is not None:
            factor = 4 if part.size[0] < 200 else 1
            changes['size'] = (SIZE[0] // factor, SIZE[1] // factor)
        parts.append(replace(part, **changes))
    return replace(recipe, parts=tuple(parts))


def reds(root: Path, clips: Iterable[int] = (0, 1, 11), frames: int = 3) -> None:
    """REDS as its archives unpack: a folder for each split in each."""
    for split in ('train', 'val'):
        for clip in clips:
            names = [f'{i:08d}.png' for i in range(frames)]
            folder = root / split
            write_clip(folder / f'{split}_sharp/{clip:03d}', names, seed=clip)
            small = (SIZE[0] // 4, SIZE[1] // 4)
            write_clip(folder / f'{split}_sharp_bicubic/X4/{clip:03d}', names, small, seed=clip)


def vimeo90k(root: Path) -> None:
    """Septuplets in two levels of folders, and the two lists; one septuplet is in neither."""
    base = root / 'vimeo_septuplet'
    for key in ('00001/0001', '00001/0266', '00002/0001', '00002/0777'):
        write_clip(base / 'sequences' / key, [f'im{i}.png' for i in range(1, 8)])
    (base / 'sep_trainlist.txt').write_text('00001/0001\n00002/0001\n')
    (base / 'sep_testlist.txt').write_text('00001/0266\n\n')


def vid4(root: Path) -> None:
    """Ground truth alone, with names of another kind than the configs expect."""
    for name, frames in VID4_FRAMES.items():
        write_clip(root / 'Vid4/GT' / name, [f'Frame {i + 1:03d}.png' for i in range(frames)])


def udm10(root: Path, frames: int = 3) -> None:
    """PFNL's folders: truth and its own degraded version in each clip."""
    for name in UDM10_CLIPS:
        write_clip(root / name / 'truth', [f'{i:04d}.png' for i in range(frames)])
        write_clip(root / name / 'blur4', [f'{i:04d}.png' for i in range(frames)], (8, 12))


def gopro(root: Path) -> None:
    """Three kinds of frames in each clip, numbered from anywhere."""
    clips = dict(train=['GOPR0372_07_00', 'GOPR0372_07_01'], test=['GOPR0384_11_00'])
    for split in clips:
        for clip in clips[split]:
            for kind in ('blur', 'blur_gamma', 'sharp'):
                folder = root / 'GOPRO_Large' / split / clip / kind
                write_clip(folder, [f'{i:06d}.png' for i in range(47, 51)])


def dvd(root: Path) -> None:
    """All clips side by side; which are for testing is known by their names."""
    for clip in ('720p_240fps_1', '720p_240fps_2', 'IMG_0001', 'IMG_0003'):
        for kind in ('input', 'GT'):
            folder = root / 'quantitative_datasets' / clip / kind
            write_clip(folder, [f'{i:05d}.jpg' for i in range(3)])


def mfqev2(root: Path, frames: int = 3) -> None:
    """Raw sequences that tell their size and length by their names."""
    rng = np.random.default_rng(0)
    for folder, names in (('train_108', ['akiyo', 'bus']), ('test_18', ['Kimono'])):
        (root / 'MFQEv2_dataset' / folder / 'raw').mkdir(parents=True)
        for name in names:
            planes = rng.integers(0, 256, (frames, 108, 96)).astype(np.float32)
            planes = np.stack([cv2.GaussianBlur(p, (0, 0), 3) for p in planes]).astype(np.uint8)
            path = root / 'MFQEv2_dataset' / folder / 'raw' / f'{name}_96x72_{frames}.yuv'
            path.write_bytes(planes.tobytes())
