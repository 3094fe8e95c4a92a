# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""More motion for clips that were taken from a tripod."""

import math

import cv2
import numpy as np
import torch
from mmagic.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ...errors import ConfigError, DataError
from ...io.images import to_uint8
from ...ops.dis_flow import sample_along
from ...ops.synthetic_flow import random_field


@TRANSFORMS.register_module()
class AddMotion(BaseTransform):
    """Let the good frames of a clip drift, as if the camera moved.

    Where nothing moves, every frame shows the same, and a network learns nothing of what its
    neighbours could tell. Frame i of t is sampled (Lanczos) along i - (t - 1) / 2 times one smooth
    field: a translation, an affine part and a slow bend, drawn for each clip. What moved before
    moves still, and noise stays that of its frame.

    Put it before what degrades the clip. Frames lose the same margin with motion or without.

    Required keys: ``gt`` (frames (h, w, 3), RGB, [0, 255]). Modified keys: ``gt``.

    Args:
        max_motion (float): Longest vector in pixels a frame; most are shorter. Default: 3.0.
        prob (float): Share of the clips that drift. Default: 0.5.
        min_motion (float, optional): If given, the mean length of a clip's vectors is drawn
            evenly between this and ``max_motion``. For blur: where most clips hardly move, the best
            that a young network can do is nothing, and it stays there. Default: None.
    """

    def __init__(
        self, max_motion: float = 3.0, prob: float = 0.5, min_motion: float | None = None
    ) -> None:
        if max_motion <= 0 or not 0 <= prob <= 1:
            raise ConfigError(f'Got max_motion={max_motion} (over 0) and prob={prob} (0 to 1).')
        if min_motion is not None and not 0 <= min_motion <= max_motion:
            raise ConfigError(
                f'min_motion must be between 0 and max_motion={max_motion}, but got {min_motion}.'
            )
        self.max_motion = max_motion
        self.prob = prob
        self.min_motion = min_motion

    def transform(self, results: dict) -> dict:
        """Move a clip.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample, its frames smaller by ``max_motion * (t - 1) / 2`` on each side.

        Raises:
            DataError: If the frames are not larger than that.
        """
        frames = results['gt']
        h, w = frames[0].shape[:2]
        middle = (len(frames) - 1) / 2
        margin = math.ceil(self.max_motion * middle)
        if min(h, w) <= 2 * margin:
            raise DataError(
                f'{results.get("key", "The clip")}: {len(frames)} frames of {w}x{h} are too small '
                f'to move by {self.max_motion} pixels a frame: both sides must exceed {2 * margin}.'
            )
        inner = (slice(margin, h - margin), slice(margin, w - margin))
        if np.random.random() >= self.prob:
            results['gt'] = [frame[inner] for frame in frames]
            return results
        field = random_field(torch.zeros(1, 1, h, w), self.max_motion)[0].permute(1, 2, 0).numpy()
        if self.min_motion is not None:
            mean = np.linalg.norm(field, axis=-1).mean()
            field *= np.float32(np.random.uniform(self.min_motion, self.max_motion) / mean)
            lengths = np.linalg.norm(field, axis=-1, keepdims=True)
            field *= self.max_motion / np.maximum(lengths, self.max_motion)
        results['gt'] = []
        for index, frame in enumerate(frames):
            flow = np.float32(index - middle) * field
            moved = sample_along(frame.astype(np.float32), flow, cv2.INTER_LANCZOS4)
            results['gt'].append(to_uint8(moved[inner]))
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(max_motion={self.max_motion}, prob={self.prob}, '
            f'min_motion={self.min_motion})'
        )
