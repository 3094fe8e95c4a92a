# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Loading the frames of a clip."""

import warnings
from collections.abc import Sequence

import numpy as np
from mmagic.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ...errors import DataError
from ...io.images import ImageReader, to_levels
from ...io.reader import Reader
from ...io.yuv import YuvReader


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Load 'img' and 'gt' frames and check that they fit together.

    Stands in for two ``LoadImageFromFile`` of mmagic, with checks that those lack, and for videos
    and raw YUV too.

    Required keys are ``img_path``, ``gt_path`` or both: for each frame its file. Where
    :class:`VideoClipDataset` gives ``img_clip`` and ``img_indices`` (likewise for 'gt'), frames are
    read by these. ``scale`` is used if present. Added keys, for 'img' likewise as for 'gt': ``gt``
    (a list of RGB frames (h, w, 3) in [0, 255], uint8, or float32 from deeper files),
    ``ori_gt_shape``, ``gt_channel_order``, ``gt_color_type``; and ``scale`` if both are loaded.

    Raises:
        DataError: A frame is missing or damaged, frames of a clip differ in size, or 'gt' is not
            exactly ``scale`` times the size of 'img'.
    """

    def read(self, clip: Reader, indices: Sequence[int]) -> list[np.ndarray]:
        """Read frames of one clip.

        Args:
            clip (Reader): The clip.
            indices (Sequence[int]): Numbers of the frames.

        Returns:
            list[np.ndarray]: Frames (h, w, 3), RGB, in [0, 255].
        """
        return [to_levels(frame.rgb) for frame in clip.read(indices)]

    def transform(self, results: dict) -> dict:
        """Load the frames of a sample.

        Args:
            results (dict): A sample of :class:`VideoClipDataset`.

        Returns:
            dict: The sample with its frames.
        """
        names = [name for name in ('img', 'gt') if f'{name}_path' in results]
        for name in names:
            paths = results[f'{name}_path']
            # Other data sets name the frames' files alone.
            clip = results.get(f'{name}_clip') or ImageReader(paths[0], paths)
            frames = self.read(clip, results.get(f'{name}_indices') or range(len(paths)))
            _warn_of_damage(clip)
            check_same_size(frames, paths)
            results[name] = frames
            results[f'ori_{name}_shape'] = [frame.shape for frame in frames]
            results[f'{name}_channel_order'] = 'rgb'
            results[f'{name}_color_type'] = 'color'
        if len(names) == 2:
            results['scale'] = checked_scale(results)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class LoadYUVFrames(LoadClip):
    """Load 'img' and 'gt' from raw YUV files, in colour or the luma alone.

    As :class:`LoadClip`, which reads these files in colour too, but refuses any other kind.

    Args:
        luma_only (bool): Return the Y plane as it is, in three equal channels, instead of RGB
            (limited range; BT.709 from 720 lines or 1280 columns on, else BT.601).
            Default: False.
    """

    def __init__(self, luma_only: bool = False) -> None:
        self.luma_only = luma_only

    def read(self, clip: Reader, indices: Sequence[int]) -> list[np.ndarray]:
        """Read frames of one clip; see the base class."""
        if not isinstance(clip, YuvReader):
            raise DataError(f'{clip.path} is no raw YUV file. Load it with LoadClip.')
        if not self.luma_only:
            return super().read(clip, indices)
        return [np.repeat(clip.luma(index)[..., None], 3, axis=2) for index in indices]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(luma_only={self.luma_only})'


def _warn_of_damage(clip: Reader) -> None:
    """Warn of a damaged clip, once a process for each state of it."""
    if clip.damage:
        warnings.warn(f'{clip.path} is damaged: {clip.damage}', stacklevel=3)


def check_same_size(frames: Sequence[np.ndarray], paths: Sequence[str]) -> None:
    """Refuse a clip whose frames differ in size.

    Args:
        frames (Sequence[np.ndarray]): Frames (h, w, 3).
        paths (Sequence[str]): Where they come from.
    """
    height, width = frames[0].shape[:2]
    for frame, path in zip(frames, paths, strict=True):
        if frame.shape[:2] != (height, width):
            raise DataError(
                f'{path} is {frame.shape[1]}x{frame.shape[0]}, while {paths[0]} of the same clip '
                f'is {width}x{height}. All frames of a clip need one size.'
            )


def checked_scale(results: dict) -> int:
    """Size of 'gt' over that of 'img', which must be a whole number and ``scale`` if given.

    Args:
        results (dict): A sample with both loaded.

    Returns:
        int: The scale.
    """
    h, w = results['img'][0].shape[:2]
    gt_h, gt_w = results['gt'][0].shape[:2]
    scale = results.get('scale') or gt_h // h
    if (gt_h, gt_w) != (h * scale, w * scale):
        wanted = f'exactly {scale} times' if 'scale' in results else 'a whole multiple of'
        raise DataError(
            f'{results["gt_path"][0]} is {gt_w}x{gt_h}, which is not {wanted} the {w}x{h} of '
            f'{results["img_path"][0]}.'
        )
    return scale
