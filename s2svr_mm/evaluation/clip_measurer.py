# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Quality and temporal consistency of restored frames."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np
import torch
from mmagic.evaluation.metrics import psnr, ssim
from torch import Tensor

from ..errors import DataError
from ..io.images import to_uint8
from ..ops.dis_flow import dis_flow
from ..ops.occlusion import visible_mask
from ..ops.warp import warp

T = TypeVar('T')

COLOURS = {'y': 'Y', 'rgb': None}


class ClipMeasurer:
    """Measure a restored clip frame by frame.

    PSNR and SSIM are mmagic's, on frames that are not rounded to 8 bits, as its evaluator has
    them. The warping error is that of Lai et al. (Learning Blind Video Temporal Consistency, ECCV
    2018): the mean squared difference, for values in [0, 1], between a frame and the next one
    warped to it, over the pixels that are not occluded. The flow is OpenCV's DIS on the guide, so
    it is the same for all methods; occlusion is found by :func:`.visible_mask`.

    Attributes:
        figures (dict): ``psnr_y``, ``ssim_y``, ``psnr_rgb`` and ``ssim_rgb`` of each frame that has
            a ground truth, and ``warping_error`` of each frame but the last, None where all of it
            is occluded.
    """

    def __init__(self) -> None:
        self._before: tuple[Tensor, np.ndarray] | None = None
        self.figures: dict[str, list[float | None]] = {'warping_error': []}

    def add(self, restored: np.ndarray, truth: np.ndarray | None, guide: np.ndarray) -> None:
        """Measure the next frame.

        Args:
            restored (np.ndarray): (h, w, 3), RGB, float32 in [0, 255].
            truth (np.ndarray, optional): The ground truth, likewise; None if there is none.
            guide (np.ndarray): What optical flow is computed on, likewise: the ground truth, or
                the enlarged input.

        Raises:
            DataError: They differ in size.
        """
        if restored.shape != guide.shape:
            raise DataError(
                f'a restored frame is {restored.shape}, but what it is compared with {guide.shape}'
            )
        if truth is not None:
            for name, colour in COLOURS.items():
                for measure in (psnr, ssim):
                    value = measure(restored, truth, convert_to=colour)
                    key = f'{measure.__name__}_{name}'
                    self.figures.setdefault(key, []).append(float(value))
        now = _to_tensor(restored / np.float32(255)), to_uint8(guide)
        if self._before is not None:
            self.figures['warping_error'].append(self._warping_error(self._before, now))
        self._before = now

    def _warping_error(
        self, first: tuple[Tensor, np.ndarray], second: tuple[Tensor, np.ndarray]
    ) -> float | None:
        flow = _to_tensor(dis_flow(first[1], second[1]))
        flow_back = _to_tensor(dis_flow(second[1], first[1]))
        visible = visible_mask(flow, flow_back)
        if not visible.any():
            return None
        difference = first[0] - warp(second[0], flow, 'border')
        return ((difference.square() * visible).sum() / (3 * visible.sum())).item()


def _to_tensor(x: np.ndarray) -> Tensor:
    """(h, w, c) to (1, c, h, w)."""
    return torch.from_numpy(x).permute(2, 0, 1)[None].contiguous()


@dataclass
class Stopwatch:
    """Add up how long something takes to come.

    Attributes:
        seconds (float): The sum.
    """

    seconds: float = 0.0

    def timed(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; only the time until each one comes counts."""
        iterator = iter(items)
        while True:
            begin = perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.seconds += perf_counter() - begin
            yield item
