# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Choose windows, tiles, data type and back end by memory and by the first frames."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import ConfigError, NotEnoughMemoryError
from ..export.backends import BACKENDS, EXTRAS
from ..models.input_requirements import requirements_of
from ..utils.devices import computes_bfloat16, computes_int8
from ..utils.memory import available_host_memory, available_memory
from ..utils.metrics import psnr
from .cost import NetworkCost
from .defaults import OVERLAP, TILE_OVERLAP
from .output_size import OutputSize
from .predictor import BACKEND_DTYPES, DTYPES, Predictor
from .windows import TilingPlan, tile_axis

# Windows with their overlaps, and sides of tiles, to choose from by the memory at hand. The last
# two windows are for frames so large that little else fits.
WINDOWS = [(60, OVERLAP), (48, OVERLAP), (36, OVERLAP), (24, OVERLAP), (12, 8), (6, 4)]
TILES = (2048, 1536, 1024, 768, 512, 384, 256, 192, 128)
# What is left to other programs, to the encoder and to what allocators round up.
USABLE = 0.6
# Restored frames are rarely within 40 dB of the truth. An error that is independent of theirs and
# 20 dB below it adds 1 % to the squared error, which is 0.043 dB.
ENOUGH_DB = 60.0
CHECK_FRAMES, _CHECK_SIDE = 8, 96
_MEASURED_SECONDS = 0.3


@dataclass(frozen=True)
class Settings:
    """How a network is to be run; what is None is chosen by the memory at hand.

    Attributes:
        dtype (str): 'float32', 'bfloat16', 'int8' (by back ends other than torch) or 'auto'.
        window (int, optional): Frames that the network sees at once.
        overlap (int, optional): Frames that neighbouring windows share.
        tile (int, optional): Side of tiles in pixels; 0 for whole frames.
        tile_overlap (int): Pixels that neighbouring tiles share.
        memory_limit (int, optional): Bytes that may be used.
        scene_cuts (bool): Whether each scene is a clip of its own.
        processes (int): How many processes share the memory of this machine.
        backend (str): One of ``export.backends.BACKENDS`` or 'auto'.
        size (str, optional): Size of restored frames, as :meth:`.OutputSize.parse` reads it.

    Raises:
        ConfigError: A setting is not valid, or two of them contradict each other.
    """

    dtype: str = 'auto'
    window: int | None = None
    overlap: int | None = None
    tile: int | None = None
    tile_overlap: int = TILE_OVERLAP
    memory_limit: int | None = None
    scene_cuts: bool = True
    processes: int = 1
    backend: str = 'torch'
    size: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            OutputSize.parse(self.size)
        if self.dtype not in ('auto', *DTYPES, *BACKEND_DTYPES):
            raise ConfigError(
                f"dtype must be 'auto', 'float32', 'bfloat16' or 'int8', but got {self.dtype!r}"
            )
        if self.backend not in ('auto', *BACKENDS):
            raise ConfigError(
                f"backend must be 'auto' or one of {', '.join(BACKENDS)}, but got {self.backend!r}"
            )
        if self.backend in EXTRAS and self.dtype == 'bfloat16':
            raise ConfigError(
                f'the back end {self.backend} computes in float32 or int8, not in bfloat16'
            )
        if self.backend == 'torch' and self.dtype == 'int8':
            raise ConfigError(
                'torch does not compute in int8: give --backend openvino, onnxruntime or auto'
            )
        if self.window is not None and self.window < 1:
            raise ConfigError(f'window must be at least 1, but got {self.window}')
        if self.overlap is not None and self.overlap < 0:
            raise ConfigError(f'overlap must not be negative, but got {self.overlap}')
        if self.window is not None and self.window <= (self.overlap or 0):
            raise ConfigError(
                f'window must be more than the overlap, but got {self.window} and {self.overlap}'
            )
        if self.tile_overlap < 0 or self.tile_overlap % 4:
            raise ConfigError(
                f'tile_overlap must be a multiple of 4, not negative, but got {self.tile_overlap}'
            )
        if self.tile is not None and self.tile and self.tile < self.tile_overlap + 4:
            raise ConfigError(
                f'tile must be 0 or at least tile_overlap + 4 = {self.tile_overlap + 4}, but got '
                f'{self.tile}'
            )

    def output_size(self, height: int, width: int) -> tuple[int, int] | None:
        """Return the size that frames of a height and width are to have; None if any will do."""
        return None if self.size is None else OutputSize.parse(self.size).of(height, width)


@dataclass(frozen=True)
class Decision:
    """How a video is restored, settled by its first frames and the machine at that moment.

    Attributes:
        plan (TilingPlan): Windows and tiles.
        dtype (str): 'float32', 'bfloat16' or 'int8'.
        notes (tuple[str, ...]): Remarks on the choice, for the user.
        backend (str): One of ``export.backends.BACKENDS``.
    """

    plan: TilingPlan
    dtype: str
    notes: tuple[str, ...] = ()
    backend: str = 'torch'

    def __str__(self) -> str:
        by = '' if self.backend == 'torch' else f' by {self.backend}'
        return f'{self.plan}; {self.dtype}{by}'

    def to_json(self) -> dict[str, Any]:
        """Return plain data that :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> 'Decision':
        """Read what :meth:`to_json` returned."""
        return cls(TilingPlan(**data['plan']), data['dtype'], tuple(data['notes']), data['backend'])


def decide(predictor: Predictor, frames: Sequence[np.ndarray], settings: Settings) -> Decision:
    """Choose windows and tiles by the memory at hand, type and back end by the first frames.

    Args:
        predictor (Predictor): The network.
        frames (Sequence[np.ndarray]): The first frames of a video, (h, w, 3), at least one.
        settings (Settings): What is given.

    Returns:
        Decision: The choice.

    Raises:
        NotEnoughMemoryError: Not even the smallest windows and tiles fit.
    """
    dtype, backend, notes = _choose_dtype_and_backend(predictor, frames, settings)
    # bfloat16 needs less than float32; what is chosen by itself is to fit in either.
    planned = 'float32' if (settings.dtype, dtype) == ('auto', 'bfloat16') else dtype
    plan, plan_notes = _plan(predictor, frames[0], settings, (planned, backend))
    height, width = frames[0].shape[:2]
    made = predictor.scale * height, predictor.scale * width
    wanted = settings.output_size(height, width) or made
    if wanted != made:
        notes.append(f'the network makes {made[1]}x{made[0]}, resized to {wanted[1]}x{wanted[0]}')
    return Decision(plan, dtype, (*plan_notes, *notes), backend)


def _choose_dtype_and_backend(
    predictor: Predictor, frames: Sequence[np.ndarray], settings: Settings
) -> tuple[str, str, list[str]]:
    if settings.backend in EXTRAS:
        dtype = 'float32' if settings.dtype == 'auto' else settings.dtype
        return dtype, settings.backend, _hints_on(dtype)
    trial = _Trial(predictor, frames)
    if settings.backend == 'torch' or settings.dtype == 'bfloat16':
        dtype, notes = _dtype(trial, settings.dtype)
        return dtype, 'torch', notes
    kinds, notes = _candidates(trial, settings.dtype)
    if kinds == [(kinds[0][0], 'torch')]:
        notes.append('no back end but torch can run this network here: torch')
    if len(kinds) == 1:
        return *kinds[0], [*notes, *_hints_on(kinds[0][0])]
    clip = trial.clip
    seconds = {
        (dtype, backend): _seconds(partial(predictor.predict, clip, dtype, backend))
        for dtype, backend in kinds
    }
    chosen = min(kinds, key=lambda kind: seconds[kind])
    listed = ', '.join(
        f'{1000 * seconds[dtype, backend] / clip.shape[1]:.1f} ms by {backend} in {dtype}'
        for dtype, backend in kinds
    )
    notes.append(
        f'a frame of {clip.shape[4]}x{clip.shape[3]} takes {listed}: {chosen[1]} in {chosen[0]}'
    )
    return *chosen, [*notes, *_hints_on(chosen[0])]


class _Trial:
    """The middle of the first frames, on which types and back ends are tried."""

    def __init__(self, predictor: Predictor, frames: Sequence[np.ndarray]) -> None:
        self.predictor = predictor
        self._frames = frames[:CHECK_FRAMES]

    @cached_property
    def clip(self) -> Tensor:
        """The frames, (1, t, 3, h, w)."""
        return self.predictor.to_tensor([_centre(frame, _CHECK_SIDE) for frame in self._frames])

    @cached_property
    def _exact(self) -> Tensor:
        return self.predictor.predict(self.clip, 'float32').float().clamp(0, 1)

    def decibels(self, dtype: str, backend: str) -> float:
        """Compare the result in a type with that of torch in float32."""
        rounded = self.predictor.predict(self.clip, dtype, backend)
        return psnr(self._exact, rounded.float().clamp(0, 1), peak=1)


def _candidates(trial: _Trial, dtype: str) -> tuple[list[tuple[str, str]], list[str]]:
    """List the types and back ends among which the fastest is chosen."""
    predictor = trial.predictor
    kinds: list[tuple[str, str]] = []
    notes: list[str] = []
    quantized = [] if dtype == 'float32' else predictor.usable_backends('int8')[1:]
    if dtype != 'int8':
        of_torch, notes = _dtype(trial, dtype)
        kinds = [(of_torch, 'torch')]
        kinds += [('float32', backend) for backend in predictor.usable_backends()[1:]]
    elif not quantized:
        # Raises the reason.
        predictor.check_backend('openvino', 'int8')
    for backend in quantized:
        decibels = trial.decibels('int8', backend)
        notes.append(f'int8 by {backend} is {decibels:.1f} dB from float32')
        if decibels >= ENOUGH_DB or dtype == 'int8':
            kinds.append(('int8', backend))
    return kinds, notes


def _hints_on(dtype: str) -> list[str]:
    if dtype != 'int8' or computes_int8():
        return []
    return ['this processor has no AVX-512 VNNI: int8 may be slower than float32']


def _seconds(run: Callable[[], object]) -> float:
    """Measure the shortest of several calls, after one that is not counted."""
    run()
    times: list[float] = []
    while sum(times) < _MEASURED_SECONDS or len(times) < 2:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def _plan(
    predictor: Predictor, frame: np.ndarray, settings: Settings, kind: tuple[str, str]
) -> tuple[TilingPlan, list[str]]:
    windows = windows_of(settings, requirements_of(predictor.network).stride)
    tiles = _tiles(settings, max(frame.shape[:2]))
    if len(windows) == len(tiles) == 1:
        return TilingPlan(*windows[0], tiles[0], settings.tile_overlap), []
    device, host_budget = predictor.device, None
    budget = settings.memory_limit or int(available_memory(device) * USABLE)
    if device.type == 'cuda':
        host_budget = int(available_host_memory() * USABLE) // settings.processes
    else:
        budget //= settings.processes
    plan = choose_plan(
        (frame.shape[0], frame.shape[1]),
        predictor.scale,
        frame.itemsize,
        predictor.cost(*kind),
        budget,
        host_budget,
        windows,
        tiles,
        settings.tile_overlap,
        settings.output_size(*frame.shape[:2]),
    )
    if plan.overlap >= max(overlap for _, overlap in windows):
        return plan, []
    return plan, [
        f'there is little memory: windows overlap by {plan.overlap} frames only, which may cost '
        'quality'
    ]


def windows_of(settings: Settings, stride: int) -> list[tuple[int, int]]:
    """Windows with their overlaps to choose from."""
    window, overlap = settings.window, settings.overlap
    if window is not None:
        chosen = min(OVERLAP, (window - 1) // 3 * 2) if overlap is None else overlap
        windows = [(window, chosen)]
    elif overlap is None:
        windows = WINDOWS
    else:
        longest = max(window for window, _ in WINDOWS)
        lengths = (longest, longest // 2, overlap + 1 + overlap // 4)
        windows = [(length, overlap) for length in lengths if length > overlap]
    # IconVSR's keyframes lie at every so many frames of what it sees.
    return [(window + -(window - overlap) % stride, overlap) for window, overlap in windows]


def _tiles(settings: Settings, side: int) -> list[int]:
    """Sides of tiles to choose from, 0 for whole frames."""
    if settings.tile is not None:
        return [settings.tile if 0 < settings.tile < side else 0]
    return [0, *(t for t in TILES if 2 * settings.tile_overlap <= t < side)]


def _dtype(trial: _Trial, dtype: str) -> tuple[str, list[str]]:
    """Choose what torch computes in."""
    if dtype != 'auto':
        return dtype, []
    if not computes_bfloat16(trial.predictor.device):
        return 'float32', []
    decibels = trial.decibels('bfloat16', 'torch')
    if decibels >= ENOUGH_DB:
        return 'bfloat16', [f'bfloat16 is {decibels:.1f} dB from float32, close enough']
    return 'float32', [
        f'bfloat16 is {decibels:.1f} dB from float32, not the {ENOUGH_DB:.0f} dB it takes: float32'
    ]


def _centre(frame: np.ndarray, side: int) -> np.ndarray:
    top, left = (max(length - side, 0) // 2 for length in frame.shape[:2])
    return frame[top : top + side, left : left + side]


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
    output: tuple[int, int] | None = None,
) -> TilingPlan:
    """Choose, of the plans that fit, those of the greatest overlap with the least work done twice.

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
        output (tuple[int, int], optional): Height and width that restored frames are resized to.
            Defaults to None, as the network makes them.

    Returns:
        TilingPlan: The plan.

    Raises:
        NotEnoughMemoryError: Nothing fits.
    """
    plans = [TilingPlan(w, o, t, tile_overlap) for (w, o), t in product(windows, tiles)]
    needs = []
    for plan in sorted(plans, key=lambda plan: (-plan.overlap, restorations_per_pixel(plan, size))):
        network, frames = memory_needed(
            plan, size, scale, sample_bytes, cost, host_budget is not None, output
        )
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


def memory_needed(
    plan: TilingPlan,
    size: tuple[int, int],
    scale: int,
    sample_bytes: int,
    cost: NetworkCost,
    apart: bool,
    output: tuple[int, int] | None = None,
) -> tuple[float, float]:
    """Estimate the memory that a plan takes, beyond the program and the weights.

    Args:
        plan (TilingPlan): Windows and tiles.
        size (tuple[int, int]): Height and width of the input.
        scale (int): Size of the output over that of the input.
        sample_bytes (int): Bytes of one sample of a frame, 1 or 2.
        cost (NetworkCost): What the network needs.
        apart (bool): Whether frames lie in other memory than the network's, as with a GPU.
        output (tuple[int, int], optional): Height and width that restored frames are resized to.
            Defaults to None, as the network makes them.

    Returns:
        tuple[float, float]: Bytes where the network is, and in main memory if that is ``apart``,
        else 0.
    """
    pixels = _largest_tile(plan, size)
    network = cost.of(plan.window, pixels)
    # Input: the window, its frames or tiles as one array, what waits to come. Output: the window,
    # the one before whose last frames are being encoded, a row of tiles.
    part = min(plan.tile / size[0], 1) if plan.tile else 0
    frames = plan.window * (1 + (part or 1)) + 6 + scale**2 * plan.window * (2 + part)
    frames *= 3 * sample_bytes * size[0] * size[1]
    if output is not None and output != (scale * size[0], scale * size[1]):
        # A resized window, and the one before that is being encoded.
        frames += 2 * plan.window * 3 * sample_bytes * output[0] * output[1]
    if not apart:
        return network + frames, 0
    # The clip that comes to the GPU and the one that goes while another is computed.
    network += plan.window * pixels * 3 * sample_bytes * 2 * (1 + scale**2)
    # torch rounds pinned memory up to powers of two.
    return network, frames + plan.window * pixels * 2 * cost.host_per_frame


def restorations_per_pixel(plan: TilingPlan, size: tuple[int, int]) -> float:
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
