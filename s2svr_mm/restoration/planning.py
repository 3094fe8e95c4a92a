# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""How much memory there is, how much a network needs, and what fits."""

import os
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch

from .windows import Plan, tile_axis

# What is left to other programs, to the encoder and to what allocators round up.
USABLE = 0.6


class NotEnoughMemory(MemoryError, ValueError):  # noqa: N818
    """Not even the smallest pieces fit."""


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


def available_memory(device: torch.device) -> int:
    """Bytes that can still be allocated: on the GPU, or on this machine within its limits."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    return available_host_memory()


def available_host_memory() -> int:
    """Bytes of main memory that this process can still allocate (also within a container)."""
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvail'))
    except (OSError, StopIteration):
        free = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 2
    for limit, used in (
        ('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory.current'),
        (
            '/sys/fs/cgroup/memory/memory.limit_in_bytes',
            '/sys/fs/cgroup/memory/memory.usage_in_bytes',
        ),
    ):
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):
            continue
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    if soft != resource.RLIM_INFINITY:
        free = min(free, soft)
    return max(free, 0)


def peak_host_memory() -> int:
    """Highest number of bytes of main memory that this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def peak_device_memory(device: torch.device) -> int:
    """Highest number of bytes that torch has held on a GPU; 0 for a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == 'cuda' else 0


def measure_peak(function: Callable[[], object], device: torch.device) -> int:
    """Bytes that torch allocates at most while ``function`` runs, beyond those held before."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return torch.cuda.max_memory_allocated(device) - before
    # Or a torch with CUDA complains on a machine without a GPU.
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True, acc_events=True) as profile:
        function()
    events = [e for e in profile.profiler.kineto_results.events() if e.name() == '[memory]']
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


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
) -> Plan:
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
        Plan: The plan.

    Raises:
        NotEnoughMemory: Nothing fits.
    """
    plans = [Plan(w, o, t, tile_overlap) for (w, o), t in product(windows, tiles)]
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
    raise NotEnoughMemory(
        f'{size[1]}x{size[0]} frames need {need / 2**30:.2g} GB in windows of {plan.window} and '
        f'tiles of {plan.tile or max(size)} pixels, and {usable / 2**30:.2g} GB may be used: free '
        'some memory, or set a smaller --window, --overlap or --tile'
    )


def work(plan: Plan, size: tuple[int, int]) -> float:
    """How often a plan restores a pixel of a long video, on average."""
    height, width = (
        sum(tile.stop - tile.start for tile in tile_axis(length, plan.tile, plan.tile_overlap))
        for length in size
    )
    return plan.window / plan.step * height * width / (size[0] * size[1])


def _largest_tile(plan: Plan, size: tuple[int, int]) -> int:
    height, width = (
        max(tile.stop - tile.start for tile in tile_axis(length, plan.tile, plan.tile_overlap))
        for length in size
    )
    return height * width
