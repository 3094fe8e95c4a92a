# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Small synthetic clips with known motion, and their degraded versions."""

from pathlib import Path

import cv2
import numpy as np


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
    from s2svr_mm.datasets.transforms.degradation import imresize

    small = [imresize(frame, 1 / scale) for frame in frames]
    return np.stack(small).clip(0, 255).round().astype(np.uint8)


def write_frames(folder: Path, frames: np.ndarray, start: int = 0) -> Path:
    """Write RGB frames (t, h, w, 3) as ``folder/%08d.png`` and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, frame in enumerate(frames, start):
        assert cv2.imwrite(str(folder / f'{index:08d}.png'), frame[..., ::-1])
    return folder
