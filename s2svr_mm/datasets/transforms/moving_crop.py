# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Camera motion for clips that were taken from a tripod."""

from collections.abc import Sequence

import numpy as np
from mmagic.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


@TRANSFORMS.register_module()
class MovingCrop(BaseTransform):
    """Crop a window that moves evenly over the clip, as if the camera had panned.

    Where a camera stood still, most patches show nothing that moves: no blur to take away, and
    nothing in one frame that another does not show as well. A speed is drawn for each clip,
    a product of two uniform draws in each direction, so that slow motion is more frequent, as
    far as the frames have room for the way. Positions are rounded to
    whole pixels: nothing is interpolated.

    Modified keys: those in ``keys`` (lists of frames (h, w, c) of one size).

    Args:
        keys (Sequence[str]): Lists of frames to crop alike.
        crop_size (tuple[int, int]): Height and width of the window.
        max_speed (float): Pixels a frame. Defaults to 4.0.

    Raises:
        ValueError: If ``max_speed`` is negative or a size is not positive.
    """

    def __init__(
        self, keys: Sequence[str], crop_size: tuple[int, int], max_speed: float = 4.0
    ) -> None:
        if max_speed < 0 or min(crop_size) < 1:
            raise ValueError(
                f'MovingCrop needs max_speed >= 0 and a positive crop_size, but got {max_speed} '
                f'and {crop_size}.'
            )
        self.keys = tuple(keys)
        self.crop_size = tuple(crop_size)
        self.max_speed = max_speed

    def transform(self, results: dict) -> dict:
        """Crop the clip in a sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with cropped frames.

        Raises:
            ValueError: If frames differ in size, or are smaller than the window.
        """
        frames = [frame for key in self.keys for frame in results[key]]
        sizes = sorted({frame.shape[:2] for frame in frames})
        if len(sizes) > 1 or any(s < c for s, c in zip(sizes[0], self.crop_size, strict=True)):
            raise ValueError(
                f'{results.get("key", "The clip")}: frames of (height, width) {sizes} for a '
                f'moving crop of {self.crop_size}; they must have one size, at least as large.'
            )
        times = np.arange(max(len(results[key]) for key in self.keys))
        tops, lefts = (
            self._way(size - crop, times)
            for size, crop in zip(sizes[0], self.crop_size, strict=True)
        )
        h, w = self.crop_size
        for key in self.keys:
            results[key] = [
                frame[top : top + h, left : left + w]
                for frame, top, left in zip(results[key], tops, lefts, strict=False)
            ]
        return results

    def _way(self, room: int, times: np.ndarray) -> np.ndarray:
        """Draws the positions of the window along one axis, within 0 to ``room``."""
        speed = np.random.uniform(-1, 1) * np.random.rand() * self.max_speed
        longest = room / max(1, times[-1])
        way = times * np.clip(speed, -longest, longest)
        start = np.random.uniform(-way.min(), room - way.max())
        return np.clip(np.round(start + way), 0, room).astype(int)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(keys={self.keys}, crop_size={self.crop_size}, '
            f'max_speed={self.max_speed})'
        )
