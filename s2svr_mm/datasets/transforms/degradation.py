# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Making degraded frames from clean ones: what all degradations share, and downsampling."""

import math
from abc import abstractmethod

import cv2
import numpy as np
from mmagic.datasets.transforms import MATLABLikeResize
from mmagic.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ...errors import ConfigError, DataError
from ...io.images import to_uint8


class ClipDegradation(BaseTransform):
    """Base class of transforms that degrade the frames in ``img``.

    A sample without ``img`` (a data set of ground truth alone) starts with a copy of ``gt``, so
    degradations can follow one another. ``scale`` is set to the size of 'gt' over that of 'img'.
    Whatever is drawn at random is drawn once for a clip, from NumPy's global generator.

    Required keys: ``img`` or ``gt`` (lists of frames (h, w, 3), RGB, [0, 255]). Modified or added
    keys: ``img``, ``ori_img_shape``, ``img_path``, ``img_channel_order``, ``img_color_type``,
    ``scale``.
    """

    @abstractmethod
    def degrade(self, frames: list[np.ndarray], results: dict) -> list[np.ndarray]:
        """Degrade a clip.

        Args:
            frames (list[np.ndarray]): Frames (h, w, 3), not to be changed in place.
            results (dict): The sample; ``gt`` may be cropped to what the frames became.

        Returns:
            list[np.ndarray]: Degraded frames, uint8.
        """

    def transform(self, results: dict) -> dict:
        """Degrade the clip in a sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its new ``img``.
        """
        if 'img' not in results:
            results['img'] = list(results['gt'])
            for name in ('channel_order', 'color_type', 'path'):
                if f'gt_{name}' in results:
                    results[f'img_{name}'] = results[f'gt_{name}']
        results['img'] = self.degrade(results['img'], results)
        results['ori_img_shape'] = [frame.shape for frame in results['img']]
        if 'gt' in results:
            results['scale'] = results['gt'][0].shape[0] // results['img'][0].shape[0]
        return results


class Downsample(ClipDegradation):
    """Base class of downsampling by a whole number.

    Frames are first cropped at the right and the bottom to a multiple of ``scale``, and ``gt``
    with them.

    Args:
        scale (int): Factor between the sizes. Default: 4.
    """

    def __init__(self, scale: int = 4) -> None:
        if scale < 1:
            raise ConfigError(f'scale must be a whole number from 1, got {scale}.')
        self.scale = scale

    @abstractmethod
    def shrink(self, frame: np.ndarray) -> np.ndarray:
        """Downsample one frame whose sides are multiples of ``scale``.

        Args:
            frame (np.ndarray): (h, w, 3), [0, 255].

        Returns:
            np.ndarray: (h / scale, w / scale, 3), uint8.
        """

    def degrade(self, frames: list[np.ndarray], results: dict) -> list[np.ndarray]:
        """Downsample a clip; see the base class."""
        height, width = frames[0].shape[:2]
        if min(height, width) < self.scale:
            raise DataError(f'Frames of {width}x{height} cannot be {self.scale} times smaller.')
        rows, columns = height - height % self.scale, width - width % self.scale
        if 'gt' in results:
            factor = results['gt'][0].shape[0] // height
            results['gt'] = [f[: rows * factor, : columns * factor] for f in results['gt']]
        return [self.shrink(frame[:rows, :columns]) for frame in frames]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale})'


def imresize(frame: np.ndarray, scale: float) -> np.ndarray:
    """Resize a frame as MATLAB's ``imresize`` does: bicubic (a = -1/2), antialiased; by mmagic.

    Args:
        frame (np.ndarray): (h, w, 3), any type.
        scale (float): Size of the result over that of the frame.

    Returns:
        np.ndarray: (ceil(scale * h), ceil(scale * w), 3), float64, neither rounded nor clipped.
    """
    return MATLABLikeResize(keys=['frame'], scale=scale).transform({'frame': frame})['frame']


@TRANSFORMS.register_module()
class BicubicDownsample(Downsample):
    """BI degradation: MATLAB's antialiased bicubic :func:`imresize`.

    Unlike ``MATLABLikeResize`` in a pipeline, it rounds to 8 bits as a saved image is, keeps
    ``scale`` a whole number and can start from ``gt``.

    Args:
        scale (int): Factor between the sizes. Default: 4.
    """

    def shrink(self, frame: np.ndarray) -> np.ndarray:
        """Downsample one frame; see the base class."""
        return to_uint8(imresize(frame, 1 / self.scale))


@TRANSFORMS.register_module()
class GaussianDownsample(Downsample):
    """BD degradation: Gaussian blur, then every ``scale``-th pixel.

    Follows the script behind BasicVSR's BDx4 data (ckkelvinchan/BasicVSR-IconVSR,
    ``BD_degradation.m``): sigma 1.6, a 12x12 kernel, borders replicated, and samples in the middle
    of each 4x4 block, as bicubic resizing has them. DUF's 13x13 kernel keeps the first pixel of
    each block instead, 1.5 pixels away; models trained on one kind fail on the other.

    Args:
        scale (int): Factor between the sizes. Default: 4.
        sigma (float): Standard deviation in pixels. Default: 1.6.
    """

    def __init__(self, scale: int = 4, sigma: float = 1.6) -> None:
        super().__init__(scale)
        self.sigma = sigma
        size = 2 * math.ceil(3 * sigma) + (1 if scale % 2 else 2)
        distance = np.arange(size) - (size - 1) / 2
        kernel = np.exp(-(distance**2) / (2 * sigma**2))
        self._kernel = kernel / kernel.sum()

    def shrink(self, frame: np.ndarray) -> np.ndarray:
        """Downsample one frame; see the base class."""
        anchor = (len(self._kernel) - 1) // 2
        blurred = cv2.sepFilter2D(
            frame.astype(np.float32),
            -1,
            self._kernel,
            self._kernel,
            anchor=(anchor, anchor),
            borderType=cv2.BORDER_REPLICATE,
        )
        first = (self.scale - 1) // 2
        return to_uint8(blurred[first :: self.scale, first :: self.scale])

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, sigma={self.sigma})'
