# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Loading the frames of a clip."""

import numpy as np
from mmagic.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ..frames import DataError, read_frames


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Load 'img' and 'gt' frames and check that they fit together.

    Takes image files, video files and raw YUV 4:2:0 files. Stands in for two
    ``LoadImageFromFile`` of mmagic, with checks that those lack.

    Required keys are ``img_path``, ``gt_path`` or both (lists of frame references); ``scale`` and
    ``yuv_size`` are used if present. Added keys, for 'img' likewise as for 'gt': ``gt`` (a list of
    RGB frames (h, w, 3) in [0, 255], uint8, or float32 from 16-bit files), ``ori_gt_shape``,
    ``gt_channel_order``, ``gt_color_type``; and ``scale`` if both are loaded.

    Raises:
        DataError: A frame is missing or damaged, frames of a clip differ in size, or 'gt' is not
            exactly ``scale`` times the size of 'img'.
    """

    def transform(self, results: dict) -> dict:
        """Load the frames.

        Args:
            results (dict): A sample of :class:`VideoClipDataset`.

        Returns:
            dict: The sample with its frames.
        """
        names = [name for name in ('img', 'gt') if f'{name}_path' in results]
        for name in names:
            paths = results[f'{name}_path']
            frames = read_frames(paths, results.get('yuv_size'))
            check_same_size(frames, paths)
            results[name] = frames
            results[f'ori_{name}_shape'] = [frame.shape for frame in frames]
            results[f'{name}_channel_order'] = 'rgb'
            results[f'{name}_color_type'] = 'color'
        if len(names) == 2:
            results['scale'] = self._checked_scale(results)
        return results

    @staticmethod
    def _checked_scale(results: dict) -> int:
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

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def check_same_size(frames: list[np.ndarray], paths: list[str]) -> None:
    """Refuse a clip whose frames differ in size.

    Args:
        frames (list[np.ndarray]): Frames (h, w, 3).
        paths (list[str]): Where they come from.
    """
    height, width = frames[0].shape[:2]
    for frame, path in zip(frames, paths, strict=True):
        if frame.shape[:2] != (height, width):
            raise DataError(
                f'{path} is {frame.shape[1]}x{frame.shape[0]}, while {paths[0]} of the same clip '
                f'is {width}x{height}. All frames of a clip need one size.'
            )
