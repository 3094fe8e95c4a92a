# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Motion blur as a long exposure: the average of neighbouring frames."""

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from mmagic.registry import TRANSFORMS

from ...errors import ConfigError, DataError
from ...io.images import to_uint8
from ...ops.dis_flow import dis_flow, sample_along
from .degradation import ClipDegradation


@TRANSFORMS.register_module()
class AverageMotionBlur(ClipDegradation):
    """Blur by averaging a window of neighbouring frames, as GoPro's data were made.

    A blurred frame is the mean of ``num_frames`` frames in linear light, and the ground truth
    that belongs to it is the middle one (Nah et al., CVPR 2017, eq. 3). Only whole windows are
    used: t frames become ``(t - num_frames) // stride + 1``, and ``gt`` and ``gt_path`` keep the
    middles. Ask the data set for that many more frames.

    Where things move by many pixels between frames, the average shows ghosts instead of a smear.
    ``in_between`` then adds frames interpolated along optical flow (OpenCV's DIS) to the mean.

    Args:
        num_frames (int | Sequence[int]): Window length, odd; one of them is drawn for each clip
            (the number of blurred frames is that of the longest). Default: 7.
        gamma (float, optional): Exponent from values to linear light; None averages the values
            themselves. Default: 2.2.
        stride (int | Sequence[int]): Frames from one window to the next; ``num_frames`` makes them
            disjoint. Of several one is drawn for each clip; as clips then differ in length, a batch
            is one. Default: 1.
        in_between (int | Sequence[int]): Number of frames interpolated between two neighbours; of
            several one is drawn for each clip. Default: 0.
    """

    def __init__(
        self,
        num_frames: int | Sequence[int] = 7,
        gamma: float | None = 2.2,
        stride: int | Sequence[int] = 1,
        in_between: int | Sequence[int] = 0,
    ) -> None:
        self.num_frames = _all_of(num_frames)
        if any(n < 1 or n % 2 == 0 for n in self.num_frames):
            raise ConfigError(f'num_frames must be odd, so that one is the middle: {num_frames}.')
        self.stride = _all_of(stride)
        self.in_between = _all_of(in_between)
        if min(self.stride) < 1 or min(self.in_between) < 0:
            raise ConfigError(f'Got stride={stride} (from 1) and in_between={in_between} (from 0).')
        self.gamma = gamma

    def degrade(self, frames: list[np.ndarray], results: dict) -> list[np.ndarray]:
        """Blur a clip; see the base class."""
        longest = max(self.num_frames)
        if len(frames) < longest:
            raise DataError(
                f'{results.get("key", "The clip")}: {len(frames)} frames are fewer than the '
                f'{longest} to average. Raise num_input_frames by {longest - 1}.'
            )
        radius, stride = _one_of(self.num_frames) // 2, _one_of(self.stride)
        in_between = _one_of(self.in_between)
        middles = range(longest // 2, len(frames) - longest // 2, stride)
        exposures = self._exposures([to_uint8(frame) for frame in frames], in_between)
        step = in_between + 1
        blurred = []
        for middle in middles:
            window = exposures[(middle - radius) * step : (middle + radius) * step + 1]
            blurred.append(self._to_values(np.sum(window, axis=0) / len(window)))
        for name in ('gt', 'gt_path', 'img_path'):
            if len(results.get(name, ())) == len(frames):
                results[name] = [results[name][i] for i in middles]
        return blurred

    def _exposures(self, frames: list[np.ndarray], in_between: int) -> list[np.ndarray]:
        """All frames with those in between, in linear light: float32 in [0, 1]."""
        table = np.linspace(0, 1, 256, dtype=np.float32) ** (self.gamma or 1.0)
        exposures = [table[frames[0]]]
        for first, second in pairwise(frames):
            exposures += [table[f] for f in frames_between(first, second, in_between)]
            exposures.append(table[second])
        return exposures

    def _to_values(self, light: np.ndarray) -> np.ndarray:
        return to_uint8(255 * light ** (1 / (self.gamma or 1.0)))

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_frames={self.num_frames}, gamma={self.gamma}, '
            f'stride={self.stride}, in_between={self.in_between})'
        )


def _all_of(choice: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(choice) if isinstance(choice, Sequence) else (choice,)


def _one_of(choices: tuple[int, ...]) -> int:
    return choices[np.random.randint(len(choices))]


def frames_between(first: np.ndarray, second: np.ndarray, count: int) -> list[np.ndarray]:
    """Interpolate frames between two frames along the optical flow of both directions.

    Args:
        first (np.ndarray): (h, w, 3), uint8.
        second (np.ndarray): (h, w, 3), uint8.
        count (int): Number of frames, evenly spaced in time.

    Returns:
        list[np.ndarray]: Frames (h, w, 3), uint8.
    """
    if count == 0:
        return []
    forward, backward = dis_flow(first, second), dis_flow(second, first)
    frames = []
    for time in np.arange(1, count + 1) / (count + 1):
        # Motion is taken to be locally constant, so the flow at each end serves in between.
        warped = [
            sample_along(frame, -np.float32(distance) * flow)
            for frame, flow, distance in ((first, forward, time), (second, backward, 1 - time))
        ]
        frames.append(cv2.addWeighted(warped[0], 1 - time, warped[1], time, 0))
    return frames
