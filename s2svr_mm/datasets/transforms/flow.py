# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Transforms for pairs of frames with true flow."""

import numpy as np
import torch
from mmagic.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from ...errors import ConfigError, DataError
from ...io.flow_files import read_flow
from ...io.images import read_image, to_uint8
from ...ops.dis_flow import dis_flow, sample_along
from ...ops.synthetic_flow import synthetic_pair
from .degradation import ClipDegradation


@TRANSFORMS.register_module()
class LoadFlow(BaseTransform):
    """Load the true flow of a pair whose frames are loaded, and its masks.

    It comes before any degradation: the frames are kept as they are for the alignment error.

    Required keys: ``flow_path``, ``img`` (two frames). Optional keys: ``occlusion_path``,
    ``invalid_path``. Added keys: ``gt_flow``, (h, w, 2), float32, pixels, x first; ``gt_valid``,
    (h, w, 1), float32, 1 where it is known; ``gt_visible``, (h, w, 1), float32, 1 where the pixel
    is seen in the second frame too, as far as a mask says so; ``gt_clean``, (h, w, 6), float32,
    both frames, RGB in [0, 255].

    Raises:
        DataError: A file is damaged, or of another size than the frames.
    """

    def transform(self, results: dict) -> dict:
        """Load the flow of a sample.

        Args:
            results (dict): A sample of :class:`FlowPairDataset` after :class:`LoadClip`.

        Returns:
            dict: The sample with its flow.
        """
        flow, valid = read_flow(results['flow_path'])
        _check_size(results['flow_path'], flow, results)
        valid = valid & ~self._mask('invalid', results)
        results['gt_flow'] = flow
        results['gt_valid'] = valid[..., None].astype(np.float32)
        results['gt_visible'] = (~self._mask('occlusion', results))[..., None].astype(np.float32)
        results['gt_clean'] = np.concatenate(results['img'], -1).astype(np.float32)
        return results

    @staticmethod
    def _mask(name: str, results: dict) -> np.ndarray:
        """Where a mask of the sample is set, (h, w), bool; nowhere if there is none."""
        path = results.get(f'{name}_path')
        if path is None:
            return np.zeros(results['img'][0].shape[:2], bool)
        mask = read_image(path)
        _check_size(path, mask, results)
        return mask.max(-1) > 0

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _check_size(path: str, loaded: np.ndarray, results: dict) -> None:
    (h, w), (rows, columns) = results['img'][0].shape[:2], loaded.shape[:2]
    if (h, w) != (rows, columns):
        raise DataError(
            f'{path} is {columns}x{rows}, but its frame {results["img_path"][0]} is {w}x{h}: they '
            'must be of one size. Check that they belong together.'
        )


@TRANSFORMS.register_module()
class KnownMotion(BaseTransform):
    """Make a pair with known flow of the first frame of a clip.

    The pair is that of :func:`.synthetic_pair`, made while data are loaded, so that it can be
    degraded by any transform that follows, and a student still learns from the flow of the clean
    one.

    Required keys: ``gt`` (frames (h, w, 3), RGB, [0, 255]). Modified keys: ``gt`` and ``gt_path``,
    a pair, smaller by ``max_motion`` on each side. Added key: ``gt_flow``, (h, w, 2), float32,
    from the first frame to the second, pixels, x first.

    Args:
        max_motion (float): Longest vector in pixels. Defaults to 16.0.
        max_layers (int): Most layers, the background among them. Defaults to 4.
        variation (float): How much brightness and noise differ; see :func:`.synthetic_pair`.
            Defaults to 1.0.
    """

    def __init__(
        self, max_motion: float = 16.0, max_layers: int = 4, variation: float = 1.0
    ) -> None:
        self.max_motion = max_motion
        self.max_layers = max_layers
        self.variation = variation

    def transform(self, results: dict) -> dict:
        """Make a pair of a sample.

        Args:
            results (dict): The sample.

        Returns:
            dict: The sample with its pair and the flow.

        Raises:
            DataError: If the frame is not larger than twice ``max_motion``.
        """
        frame = torch.from_numpy(np.ascontiguousarray(results['gt'][0])).permute(2, 0, 1)
        ref, supp, flow = synthetic_pair(
            frame[None].float() / 255,
            self.max_motion,
            max_layers=self.max_layers,
            variation=self.variation,
        )
        results['gt'] = [to_uint8(255 * x[0].permute(1, 2, 0).numpy()) for x in (ref, supp)]
        results['gt_path'] = results['gt_path'][:1] * 2
        results['gt_flow'] = flow[0].permute(1, 2, 0).numpy()
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(max_motion={self.max_motion}, max_layers={self.max_layers})'


@TRANSFORMS.register_module()
class PairMotionBlur(ClipDegradation):
    """Blur two frames along the motion between them, for lack of more frames to average.

    Each frame is averaged in linear light over an exposure around its instant, its pixels moving
    evenly along the optical flow between the two (OpenCV's DIS). An exposure as long as the time
    between frames is what GoPro's data have on average.

    Args:
        exposure (float): Over the time between the frames. Defaults to 1.0.
        gamma (float): Exponent from values to linear light. Defaults to 2.2.
        samples (int): Instants that are averaged. Defaults to 17.
    """

    def __init__(self, exposure: float = 1.0, gamma: float = 2.2, samples: int = 17) -> None:
        if exposure < 0 or samples < 1:
            raise ConfigError(f'Got exposure={exposure} (from 0) and samples={samples} (from 1).')
        self.exposure = exposure
        self.gamma = gamma
        self.samples = samples

    def degrade(self, frames: list[np.ndarray], results: dict) -> list[np.ndarray]:
        """Blur a pair; see the base class."""
        if len(frames) != 2:
            raise ConfigError(f'PairMotionBlur blurs pairs, but got {len(frames)} frames.')
        first, second = map(to_uint8, frames)
        motions = dis_flow(first, second), -dis_flow(second, first)
        return [self._expose(f, motion) for f, motion in zip(frames, motions, strict=True)]

    def _expose(self, frame: np.ndarray, motion: np.ndarray) -> np.ndarray:
        light = (frame.astype(np.float32) / 255) ** self.gamma
        instants = (np.arange(self.samples) + 0.5) / self.samples - 0.5
        exposed = np.zeros_like(light)
        for instant in instants * self.exposure:
            exposed += sample_along(light, -np.float32(instant) * motion)
        return to_uint8(255 * (exposed / self.samples) ** (1 / self.gamma))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(exposure={self.exposure}, gamma={self.gamma})'
