# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Resize restored frames to the size that was asked for."""

import numpy as np
import torch
import torch.nn.functional as F

from .predictor import PEAK


def resize(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize frames by cubic interpolation, with its kernel widened where they become smaller.

    Args:
        frames (np.ndarray): (t, h, w, 3): uint8, uint16 or float32 in [0, 255].
        size (tuple[int, int]): Height and width to be.

    Returns:
        np.ndarray: (t, height, width, 3) of the same type; the frames themselves if they have that
        size.
    """
    if frames.shape[1:3] == size:
        return frames
    peak = PEAK[frames.dtype]
    resized = np.empty((len(frames), *size, 3), frames.dtype)
    for frame, place in zip(frames, resized, strict=True):
        pixels = torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1)[None]
        pixels = F.interpolate(pixels, size, mode='bicubic', antialias=True)[0].clamp_(0, peak)
        if frames.dtype != np.float32:
            pixels.round_()
        place[...] = pixels.permute(1, 2, 0).numpy()
    return resized
