# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""How much memory a network needs, measured on two short clips."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from ..utils.memory import measure_peak


@dataclass(frozen=True)
class NetworkCost:
    """Bytes that a network needs beyond its weights.

    Attributes:
        per_frame (float): For each pixel of each frame of the clip (states that are kept).
        per_pixel (float): For each pixel, however many frames there are.
        host_per_frame (float): As ``per_frame``, of what is offloaded to main memory instead.
    """

    per_frame: float
    per_pixel: float
    host_per_frame: float = 0

    def of(self, frames: int, pixels: int) -> float:
        """Bytes for a clip of ``frames`` frames of ``pixels`` pixels."""
        return (self.per_frame * frames + self.per_pixel) * pixels


def measure_cost(
    run: Callable[[int, int], object], device: torch.device, side: int = 64, frames: int = 2
) -> NetworkCost:
    """Measure a network's need on two short clips.

    Args:
        run (Callable): Called with a number of frames and the side of square frames; runs the
            network on such a clip.
        device (torch.device): Where it runs.
        side (int): Side of the frames. Defaults to 64.
        frames (int): Frames of the shorter clip. Defaults to 2.

    Returns:
        NetworkCost: The need. Frames that a network handles together in small batches make it
        look a little greater than it is for large frames.
    """
    few, more = (
        measure_peak(partial(run, n, side), device) / side**2 for n in (frames, frames + 2)
    )
    per_frame = max(more - few, 0) / 2
    return NetworkCost(per_frame, max(few - frames * per_frame, 0))
