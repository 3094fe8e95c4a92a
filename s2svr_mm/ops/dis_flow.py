# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Optical flow and sampling along it by OpenCV, for frames that are NumPy arrays."""

import cv2
import numpy as np

PRESETS = ('ultrafast', 'fast', 'medium')
# DIS searches 8x8 patches and fails on frames smaller than two of them.
_SMALLEST = 16


def dis_flow(ref: np.ndarray, supp: np.ndarray, preset: str = 'medium') -> np.ndarray:
    """Estimate optical flow by dense inverse search.

    Paper: Fast Optical Flow using Dense Inverse Search, ECCV 2016.

    Args:
        ref (np.ndarray): Reference frame, (h, w, 3), uint8, RGB, of any size.
        supp (np.ndarray): Supporting frame, of the same shape.
        preset (str): 'ultrafast', 'fast' or 'medium'. Defaults to 'medium'.

    Returns:
        np.ndarray: (h, w, 2), float32, pixels, x first: where in ``supp`` to find each pixel of
        ``ref``.

    Raises:
        ValueError: If ``preset`` is unknown.
    """
    if preset not in PRESETS:
        raise ValueError(f'preset must be in {PRESETS}, but got {preset!r}.')
    h, w = ref.shape[:2]
    below, right = max(0, _SMALLEST - h), max(0, _SMALLEST - w)
    first, second = (
        cv2.copyMakeBorder(
            cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 0, below, 0, right, cv2.BORDER_REPLICATE
        )
        for frame in (ref, supp)
    )
    estimator = cv2.DISOpticalFlow.create(getattr(cv2, f'DISOPTICAL_FLOW_PRESET_{preset.upper()}'))
    return estimator.calc(first, second, np.zeros((*first.shape, 2), np.float32))[:h, :w]


def sample_along(
    frame: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_LINEAR
) -> np.ndarray:
    """Sample a frame along a flow, with its border repeated outside.

    Args:
        frame (np.ndarray): (h, w, c), uint8 or float32.
        flow (np.ndarray): (h, w, 2), float32, pixels, x first. The result at pixel p is the frame
            at p + flow(p).
        interpolation (int): OpenCV's. Defaults to ``cv2.INTER_LINEAR``.

    Returns:
        np.ndarray: Of the shape and type of ``frame``.
    """
    h, w = frame.shape[:2]
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    x, y = x + flow[..., 0], y + flow[..., 1]
    return cv2.remap(frame, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)
