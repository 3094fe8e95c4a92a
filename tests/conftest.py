# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Shared fixtures: tiny clips with real motion, and the tools run as processes of their own."""

import os

# Before torch starts its thread pools, and for every subprocess that a test starts.
os.environ.setdefault('OMP_NUM_THREADS', '1')
os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tool_process import ToolProcess, ToolResult

torch.set_num_threads(1)
cv2.setNumThreads(1)


def moving_clip(
    num_frames: int,
    height: int,
    width: int,
    shift: tuple[float, float] = (1.5, -0.75),
    degrees: float = 0.5,
    seed: int = 0,
) -> np.ndarray:
    """Make a clip of a texture that moves rigidly from frame to frame.

    The texture is a sum of plane waves, so it is known between the pixels too and the motion is
    exact: nothing is interpolated and nothing runs out at the borders.

    Args:
        num_frames: Number of frames.
        height: Height in pixels.
        width: Width in pixels.
        shift: Movement (x, y) in pixels per frame.
        degrees: Rotation about the frame's centre in degrees per frame.
        seed: Which texture.

    Returns:
        Frames (num_frames, height, width, 3), uint8, RGB.
    """
    rng = np.random.default_rng(seed)
    num_waves = 48
    frequency = 2 * np.pi / np.geomspace(5, 60, num_waves)
    direction = rng.uniform(0, 2 * np.pi, num_waves)
    phase = rng.uniform(0, 2 * np.pi, (3, num_waves, 1, 1))
    wave = np.stack([np.cos(direction), np.sin(direction)]) * frequency
    amplitude = frequency**-0.5 / np.sqrt((frequency**-1).sum())

    grid_y, grid_x = np.mgrid[:height, :width].astype(np.float64)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    frames = []
    for index in range(num_frames):
        angle = -np.deg2rad(degrees * index)
        x = grid_x - centre_x - shift[0] * index
        y = grid_y - centre_y - shift[1] * index
        x, y = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
        waves = np.sin(wave[0, :, None, None] * x + wave[1, :, None, None] * y + phase)
        texture = (amplitude[:, None, None] * waves).sum(1)
        frames.append(127.5 + 60 * texture.transpose(1, 2, 0))
    return np.stack(frames).clip(0, 255).round().astype(np.uint8)


def degrade(frames: np.ndarray, scale: int) -> np.ndarray:
    """Make the low-quality version of a clip.

    Args:
        frames: Frames (t, h, w, 3), uint8; h and w divisible by ``scale``.
        scale: 1 blurs with a 5x5 box; any other value shrinks with MATLAB's bicubic kernel.

    Returns:
        Frames (t, h / scale, w / scale, 3), uint8.
    """
    if scale == 1:
        return np.stack([cv2.blur(frame, (5, 5)) for frame in frames])
    from mmagic.datasets.transforms import MATLABLikeResize

    resize = MATLABLikeResize(keys=['img'], scale=1 / scale)
    small = [resize({'img': frame.astype(np.float32)})['img'] for frame in frames]
    return np.stack(small).clip(0, 255).round().astype(np.uint8)


def write_frames(folder: Path, frames: np.ndarray, start: int = 0) -> Path:
    """Write RGB frames (t, h, w, 3) as ``folder/%08d.png`` and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames, start):
        assert cv2.imwrite(str(folder / f'{index:08d}.png'), frame[..., ::-1])
    return folder


@pytest.fixture(scope='session')
def make_clip() -> Callable[..., np.ndarray]:
    """The function :func:`moving_clip`."""
    return moving_clip


@pytest.fixture(scope='session')
def make_lq() -> Callable[..., np.ndarray]:
    """The function :func:`degrade`."""
    return degrade


@pytest.fixture(scope='session')
def save_frames() -> Callable[..., Path]:
    """The function :func:`write_frames`."""
    return write_frames


@pytest.fixture
def clip_pairs(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes clips as two folders of frames, ``lq/<clip>`` and ``gt/<clip>``.

    Called as ``clip_pairs(names=('000', '001'), num_frames=5, height=64, width=64, scale=4,
    root=None)``; ``height`` and ``width`` are those of the ground truth. It returns the folder
    that holds ``lq`` and ``gt``. Each clip has a texture and a movement of its own.
    """

    def write(
        names: Sequence[str] = ('000', '001'),
        num_frames: int = 5,
        height: int = 64,
        width: int = 64,
        scale: int = 4,
        root: Path | None = None,
    ) -> Path:
        root = tmp_path / 'clips' if root is None else root
        for seed, name in enumerate(names):
            shift = (1.5 - seed, 0.5 * seed - 0.75)
            gt = moving_clip(num_frames, height, width, shift, degrees=0.5, seed=seed)
            write_frames(root / 'gt' / name, gt)
            write_frames(root / 'lq' / name, degrade(gt, scale))
        return root

    return write


@pytest.fixture
def start_tool(tmp_path: Path) -> Callable[..., ToolProcess]:
    """A function that starts ``tools/<tool>.py`` in ``tmp_path`` and returns at once.

    Called as ``start_tool('train', config, '--amp', env={'RANK': '0'})``.
    """

    def start(tool: str, *args: object, env: dict[str, str] | None = None) -> ToolProcess:
        return ToolProcess(tool, [str(arg) for arg in args], env or {}, tmp_path)

    return start


@pytest.fixture
def run_tool(start_tool: Callable[..., ToolProcess]) -> Callable[..., ToolResult]:
    """As ``start_tool``, but waits for the end: status and output."""
    return lambda *args, **kwargs: start_tool(*args, **kwargs).wait()
