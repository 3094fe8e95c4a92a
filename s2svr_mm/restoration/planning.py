# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""How much memory there is, how much a network needs, and what fits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch

from ..errors import NotEnoughMemoryError
from ..utils.memory import measure_peak
from .windows import TilingPlan, tile_axis

# What is left to other programs, to the encoder and to what allocators round up.
USABLE = 0.6


@dataclass(frozen=True)
class NetworkCost:
    """Bytes that a network needs beyond its weights, as measured on two short clips.

    Attributes:
        per_frame (float): For each pixel of each frame of the clip (states that are kept).
        per_pixel (float): For each pixel, however many frames there are.
        host_per_frame (float): As ``per_frame``, of what rests in main memory instead.
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
        side (int): Side of the frames. Default: 64.
        frames (int): Frames of the shorter clip. Default: 2.

    Returns:
        NetworkCost: The need. Frames that a network handles together in small batches make it
        look a little greater than it is for large frames.
    """
    few, more = (
        measure_peak(lambda n=n: run(n, side), device) / side**2 for n in (frames, frames + 2)
    )
    per_frame = max(more - few, 0) / 2
    return NetworkCost(per_frame, max(few - frames * per_frame, 0))


def choose_plan(
    size: tuple[int, int],
    scale: int,
    sample_bytes: int,
    cost: NetworkCost,
    budget: int,
    host_budget: int | None,
    windows: Sequence[tuple[int, int]],
    tiles: Sequence[int],
    tile_overlap: int,
) -> TilingPlan:
    """Choose, of the pieces that fit, those of the greatest overlap with the least work done twice.

    Args:
        size (tuple[int, int]): Height and width of the input.
        scale (int): Size of the output over that of the input.
        sample_bytes (int): Bytes of one sample of a frame, 1 or 2.
        cost (NetworkCost): What the network needs.
        budget (int): Bytes for the network and, if ``host_budget`` is None, for the frames.
        host_budget (int, optional): Bytes for the frames where they lie in other memory.
        windows (Sequence[tuple[int, int]]): Windows and their overlaps to choose from.
        tiles (Sequence[int]): Sides of tiles to choose from; 0 for whole frames.
        tile_overlap (int): Overlap of tiles.

    Returns:
        TilingPlan: The plan.

    Raises:
        NotEnoughMemoryError: Nothing fits.
    """
    plans = [TilingPlan(w, o, t, tile_overlap) for (w, o), t in product(windows, tiles)]
    needs = []
    for plan in sorted(plans, key=lambda plan: (-plan.overlap, work(plan, size))):
        pixels = _largest_tile(plan, size)
        network = cost.of(plan.window, pixels)
        # Input: the window, its frames or tiles as one array, what waits to come. Output: the
        # window, the one before whose last frames are being encoded, a row of tiles.
        part = min(plan.tile / size[0], 1) if plan.tile else 0
        frames = plan.window * (1 + (part or 1)) + 6 + scale**2 * plan.window * (2 + part)
        frames *= 3 * sample_bytes * size[0] * size[1]
        if host_budget is None:
            network, frames = network + frames, 0
        else:
            # The clip that comes to the GPU and the one that goes while another is computed.
            network += plan.window * pixels * 3 * sample_bytes * 2 * (1 + scale**2)
            # torch rounds pinned memory up to powers of two.
            frames += plan.window * pixels * 2 * cost.host_per_frame
        if network <= budget and frames <= (host_budget or 0):
            return plan
        needs.append((network + frames, plan))
    need, plan = min(needs, key=lambda entry: entry[0])
    usable = budget + (host_budget or 0)
    raise NotEnoughMemoryError(
        f'{size[1]}x{size[0]} frames need {need / 2**30:.2g} GB in windows of {plan.window} and '
        f'tiles of {plan.tile or max(size)} pixels, and {usable / 2**30:.2g} GB may be used: free '
        'some memory, or set a smaller --window, --overlap or --tile'
    )


def work(plan: TilingPlan, size: tuple[int, int]) -> float:
    """How often a plan restores a pixel of a long video, on average."""
    height, width = (
        sum(tile.stop - tile.start for tile in tile_axis(length, plan.tile, plan.tile_overlap))
        for length in size
    )
    return plan.window / plan.step * height * width / (size[0] * size[1])


def _largest_tile(plan: TilingPlan, size: tuple[int, int]) -> int:
    height, width = (
        max(tile.stop - tile.start for tile in tile_axis(length, plan.tile, plan.tile_overlap))
        for length in size
    )
    return height * width
