# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restores streams of frames with any network that takes a sequence and gives a sequence."""

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain, islice, product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import NonFiniteError
from ..models.input_requirements import padded, requirements_of
from ..models.s2svr_net import S2SVRNet
from ..ops.chunking import max_pixels
from ..utils.devices import computes_bfloat16, pick_device
from ..utils.memory import available_host_memory, available_memory
from . import planning
from .offload import NEAR, MainMemory
from .transfers import transfers_to
from .windows import Tile, TilingPlan, join_windows, place, sliding_windows, tile_axis

if TYPE_CHECKING:
    from .restore_video import Summary

# Windows with their overlaps, and sides of tiles, to choose from by the memory at hand. The last
# two windows are for frames so large that little else fits.
OVERLAP = 8
WINDOWS = [(60, OVERLAP), (48, OVERLAP), (36, OVERLAP), (24, OVERLAP), (12, 4), (6, 2)]
TILES = (2048, 1536, 1024, 768, 512, 384, 256, 192, 128)
# The greatest value of each type of frame; floating point frames are in [0, 255].
PEAK = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(np.float32): 255}
# Restored frames are rarely within 40 dB of the truth. An error that is independent of theirs and
# 20 dB below it adds 1 % to the squared error, which is 0.043 dB.
ENOUGH_DB = 60.0
_CHECK_FRAMES, _CHECK_SIDE = 8, 96
_DTYPES = {'float32': torch.float32, 'bfloat16': torch.bfloat16}


class VideoRestorer:
    """Restores videos of any length and size in bounded memory.

    The network sees windows over time with overlap, and tiles where whole frames do not fit. What
    it makes of the overlaps is discarded, for it lacks context there.

    Args:
        model (nn.Module): A model of mmagic with a ``generator``, or a network alone: frames in
            [0, 1], (n, t, 3, h, w), to (n, t, 3, s * h, s * w). It is moved to ``device`` and set
            to evaluation.
        device (str | torch.device): 'auto' takes a GPU if there is one. Default: 'auto'.
        dtype (str): 'float32', 'bfloat16' or 'auto': bfloat16 if the device computes in it and
            the first frames stay close enough to float32. Default: 'auto'.
        window (int, optional): Frames that the network sees at once. Default: None, 60 or less
            as memory allows.
        overlap (int, optional): Half of what neighbouring windows share, in frames. Default:
            None, 8 or a third of the window.
        tile (int, optional): Side of tiles in pixels; 0 for whole frames. Default: None, as
            large as memory allows.
        tile_overlap (int): Half of what neighbouring tiles share, in pixels. Default: 32.
        tta (bool): Whether to average over the 8 flips and turns of the frames. Default: False.
        memory_limit (int, optional): Bytes that may be used. Default: None, most of what is free.
        offload (bool): Whether the hidden states of an S2SVR on a GPU rest in main memory, which
            lets larger pieces fit. Default: False.

    Raises:
        ValueError: An argument is not possible.
    """

    def __init__(
        self,
        model: nn.Module,
        device: str | torch.device = 'auto',
        dtype: str = 'auto',
        window: int | None = None,
        overlap: int | None = None,
        tile: int | None = None,
        tile_overlap: int = 32,
        tta: bool = False,
        memory_limit: int | None = None,
        offload: bool = False,
    ) -> None:
        if dtype not in ('auto', *_DTYPES):
            raise ValueError(f"dtype must be 'auto', 'float32' or 'bfloat16', but got {dtype!r}")
        self.device = pick_device(device)
        self._transfers = transfers_to(self.device)
        network = getattr(model, 'generator_ema', None) or getattr(model, 'generator', model)
        self.network = network.to(self.device).eval()
        self._needs = requirements_of(network)
        self._main_memory = self._offload() if offload else None
        self.dtype = dtype
        self.tta = tta
        self.memory_limit = memory_limit
        self._window, self._tile, self._tile_overlap = window, tile, tile_overlap
        self._overlap = _checked_overlap(window, overlap)
        if tile_overlap < 0 or tile_overlap % 2:
            raise ValueError(f'tile_overlap must be even and not negative, but got {tile_overlap}')
        if tile and tile < 2 * tile_overlap + 4:
            raise ValueError(
                f'tile must be 0 or at least 2 * tile_overlap + 4 = {2 * tile_overlap + 4}, but '
                f'got {tile}'
            )
        preprocessor = getattr(model, 'data_preprocessor', None)
        _check_normalisation(preprocessor)
        self.notes: list[str] = []
        self._scale: int | None = None

    def _offload(self) -> MainMemory:
        if self.device.type != 'cuda' or not isinstance(self.network, S2SVRNet):
            raise ValueError(
                'offload is for an S2SVRNet on a GPU, but this is '
                f'{type(self.network).__name__} on {self.device}'
            )
        main_memory = MainMemory(self.device)
        self.network.keep_states_in(main_memory)
        return main_memory

    @property
    def scale(self) -> int:
        """Size of the output over that of the input, as the network does it."""
        if self._scale is None:
            shape = self._predict(torch.zeros(1, 2, 3, 64, 64), torch.float32).shape
            if len(shape) != 5 or shape[:3] != (1, 2, 3) or shape[3] % 64 or shape[3] != shape[4]:
                raise ValueError(
                    f'{type(self.network).__name__} makes {tuple(shape)} of (1, 2, 3, 64, 64): it '
                    'is no network from sequence to sequence'
                )
            self._scale = shape[3] // 64
        return self._scale

    def fingerprint(self) -> str:
        """Hash of all the weights."""
        digest = hashlib.sha256()
        for key, value in sorted(self.network.state_dict().items()):
            digest.update(key.encode())
            digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def settings(self) -> dict[str, Any]:
        """All arguments that the result depends on, as plain data."""
        return {
            'device': self.device.type,
            'dtype': self.dtype,
            'window': self._window,
            'overlap': self._overlap,
            'tile': self._tile,
            'tile_overlap': self._tile_overlap,
            'tta': self.tta,
        }

    def plan(self, height: int, width: int, sample_bytes: int = 1) -> TilingPlan:
        """Choose windows and tiles for frames of a size, from the memory at hand.

        Args:
            height (int): Height of the frames.
            width (int): Width of the frames.
            sample_bytes (int): Bytes of a sample, 1 or 2. Default: 1.

        Returns:
            TilingPlan: The pieces.

        Raises:
            NotEnoughMemoryError: Not even small pieces fit.
        """
        # IconVSR's keyframes lie at every so many frames of what it sees.
        stride = getattr(self.network, 'keyframe_stride', 1)
        windows = [
            (window + -(window - 2 * overlap) % stride, overlap)
            for window, overlap in self._windows()
        ]
        tiles = TILES if self._tile is None else (self._tile,)
        tiles = [0, *tiles] if self._tile is None else tiles
        tiles = [
            tile if 0 < tile < max(height, width) else 0
            for tile in tiles
            if self._tile is not None or tile == 0 or tile >= 4 * self._tile_overlap
        ]
        if len(windows) == len(tiles) == 1:
            return TilingPlan(*windows[0], tiles[0], self._tile_overlap)
        cost = self._cost()
        budget = self.memory_limit or int(available_memory(self.device) * planning.USABLE)
        host_budget = None
        if self.device.type == 'cuda':
            host_budget = int(available_host_memory() * planning.USABLE)
        plan = planning.choose_plan(
            (height, width),
            self.scale,
            sample_bytes,
            cost,
            budget,
            host_budget,
            windows,
            tiles,
            self._tile_overlap,
        )
        if plan.overlap < max(overlap for _, overlap in windows):
            self.notes.append(
                f'there is little memory: windows overlap by {plan.overlap} frames only, which may '
                'cost quality'
            )
        return plan

    def _cost(self) -> planning.NetworkCost:
        if self._main_memory is None:
            side, frames = max(self._needs.side, 64), max(self._needs.frames, 2)
            return planning.measure_cost(self._probe, self.device, side, frames)
        # More frames than stay on the GPU, and so large that each goes through by itself.
        side, frames = math.isqrt(max_pixels(self.device)), 2 * NEAR
        cost = planning.measure_cost(self._probe, self.device, side, frames)
        resting = self._main_memory.peak / (frames + 2) / side**2
        return replace(cost, host_per_frame=resting)

    def _windows(self) -> list[tuple[int, int]]:
        """Windows with their overlaps to choose from."""
        if self._window is not None:
            overlap = min(OVERLAP, (self._window - 1) // 3)
            return [(self._window, overlap if self._overlap is None else self._overlap)]
        if self._overlap is None:
            return WINDOWS
        longest = max(window for window, _ in WINDOWS)
        return [
            (window, self._overlap)
            for window in (longest, longest // 2, 2 * self._overlap + 1 + self._overlap // 2)
            if window > 2 * self._overlap
        ]

    def _probe(self, frames: int, side: int) -> Tensor:
        dtype = torch.float32 if self.dtype == 'auto' else _DTYPES[self.dtype]
        return self._predict(torch.zeros(1, frames, 3, side, side), dtype)

    def choose_dtype(self, frames: Sequence[np.ndarray]) -> str:
        """Settle ``dtype='auto'`` with the first frames of a video.

        Args:
            frames (Sequence[np.ndarray]): Some frames (h, w, 3).

        Returns:
            str: 'float32' or 'bfloat16'.
        """
        if self.dtype != 'auto':
            return self.dtype
        if not computes_bfloat16(self.device):
            return 'float32'
        clip = self._to_tensor([_centre(f, _CHECK_SIDE) for f in frames[:_CHECK_FRAMES]])
        exact = self._predict(clip, torch.float32).clamp(0, 1)
        rounded = self._predict(clip, torch.bfloat16).float().clamp(0, 1)
        error = (exact - rounded).square().mean().item()
        decibels = -10 * math.log10(error) if error > 0 else math.inf
        enough = decibels >= ENOUGH_DB
        self.notes.append(
            f'bfloat16 is {decibels:.1f} dB from float32, '
            + ('close enough' if enough else f'not the {ENOUGH_DB:.0f} dB it takes: float32')
        )
        return 'bfloat16' if enough else 'float32'

    def restore(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Restore a stream of frames, lazily: no more than a window of them is held.

        Args:
            frames (Iterable[np.ndarray]): (h, w, 3), RGB, all of one size: uint8, uint16 (full
                range) or float32 in [0, 255].

        Yields:
            np.ndarray: (s * h, s * w, 3) for each frame, of the same type.

        Raises:
            ValueError: A frame is none, or differs from the first in size or type.
            NonFiniteError: The network gives NaN or infinite values.
        """
        source = _checked(frames)
        first = list(islice(source, _CHECK_FRAMES))
        if not first:
            return
        plan = self.plan(*first[0].shape[:2], first[0].itemsize)
        dtype = self.choose_dtype(first)

        def chained() -> Iterator[np.ndarray]:
            while first:
                yield first.pop(0)
            yield from source

        for window in self.restore_windows(chained(), plan, dtype):
            yield from window

    def restore_video(self, src: str, dst: str, **kwargs: Any) -> 'Summary':
        """Restore a file into a file.

        Args:
            src (str): A video file, a folder of frames, a glob of images or raw YUV.
            dst (str): A video file, or a folder for PNG frames.
            **kwargs: Further arguments of :func:`.pipeline.restore_file`.

        Returns:
            Summary: What was done.
        """
        from .restore_video import restore_file

        return restore_file(self, src, dst, **kwargs)

    def restore_windows(
        self, frames: Iterable[np.ndarray], plan: TilingPlan, dtype: str, resumed: bool = False
    ) -> Iterator[np.ndarray]:
        """Restore a stream window by window.

        Args:
            frames (Iterable[np.ndarray]): As for :meth:`restore`.
            plan (TilingPlan): The pieces.
            dtype (str): 'float32' or 'bfloat16'.
            resumed (bool): Whether the stream starts with a later window than the video's first.
                Default: False.

        Yields:
            np.ndarray: What each window adds to the result, (k, s * h, s * w, 3). Of a resumed
            stream's first window nothing is yielded, it only fades into the next one.
        """
        windows = self._restored(sliding_windows(frames, plan), plan, _DTYPES[dtype])
        yield from join_windows(windows, plan, resumed)

    def _restored(
        self,
        windows: Iterable[tuple[Sequence[np.ndarray], bool]],
        plan: TilingPlan,
        dtype: torch.dtype,
    ) -> Iterator[tuple[np.ndarray, bool]]:
        """Restore windows, tile by tile: tiles join to rows, and rows to frames."""
        begun: deque[tuple[tuple[int, int, int], list[Tile], list[Tile], bool]] = deque()

        def clips() -> Iterator[list[np.ndarray]]:
            for window, is_last in windows:
                height, width, _ = window[0].shape
                rows = tile_axis(height, plan.tile, plan.tile_overlap)
                columns = tile_axis(width, plan.tile, plan.tile_overlap)
                begun.append(((len(window), height, width), rows, columns, is_last))
                for y, x in product(rows, columns):
                    yield [frame[y.start : y.stop, x.start : x.stop] for frame in window]

        restored = self._restored_clips(clips(), dtype)
        for first in restored:
            size, rows, columns, is_last = begun.popleft()
            yield self._joined(chain((first,), restored), size, rows, columns), is_last

    def _joined(
        self,
        clips: Iterator[np.ndarray],
        size: tuple[int, int, int],
        rows: Sequence[Tile],
        columns: Sequence[Tile],
    ) -> np.ndarray:
        """Join the restored tiles of a window of ``size`` (t, h, w), row by row."""
        first = next(clips)
        if len(rows) == len(columns) == 1:
            return first
        (t, height, width), s, clips = size, self.scale, chain((first,), clips)
        result = np.empty((t, s * height, s * width, 3), first.dtype)
        for y in rows:
            row = np.empty((t, s * (y.stop - y.start), s * width, 3), first.dtype)
            for x in columns:
                place(row, next(clips), x, s, axis=2)
            place(result, row, y, s, axis=1)
        return result

    def _restored_clips(
        self, clips: Iterable[Sequence[np.ndarray]], dtype: torch.dtype
    ) -> Iterator[np.ndarray]:
        """Restore clips one after the other, with their transfers beside the computing."""
        begun: deque[Callable[[], np.ndarray]] = deque()
        for clip in clips:
            begun.append(self._begin(clip, dtype))
            if len(begun) > self._transfers.ahead:
                yield begun.popleft()()
        while begun:
            yield begun.popleft()()

    @torch.inference_mode()
    def _begin(self, clip: Sequence[np.ndarray], dtype: torch.dtype) -> Callable[[], np.ndarray]:
        """Begin to restore a clip; what is returned waits for the frames."""
        kind = clip[0].dtype
        restored = self._predict(self._to_tensor(clip), dtype)[0]
        finite = self._transfers.download(torch.isfinite(restored).all()[None])
        frames = restored.float().clamp(0, 1).mul_(PEAK[kind]).permute(0, 2, 3, 1)
        if kind != np.float32:
            # torch has few operations for uint16, so it is rounded before it becomes one.
            frames = frames.round_().to(torch.uint8 if kind == np.uint8 else torch.int32)
        arriving = self._transfers.download(frames)

        def wait() -> np.ndarray:
            if not finite().item():
                raise NonFiniteError(
                    f'{type(self.network).__name__} gives values that are not finite: the '
                    'checkpoint is broken, or its numbers are too large for bfloat16 (--dtype '
                    'float32)'
                )
            return arriving().astype(kind, copy=False)

        return wait

    def _to_tensor(self, clip: Sequence[np.ndarray]) -> Tensor:
        """Frames (h, w, 3) of any type to (1, t, 3, h, w), float32 in [0, 1], on the device."""
        peak = PEAK[clip[0].dtype]
        if clip[0].dtype == np.uint16:
            clip = [frame.astype(np.float32) for frame in clip]
        return self._transfers.upload(clip).permute(0, 3, 1, 2)[None].float() / peak

    @torch.inference_mode()
    def _predict(self, clip: Tensor, dtype: torch.dtype) -> Tensor:
        """Run the network on (1, t, 3, h, w) of any size and length."""
        clip = clip.to(self.device)
        if not self.tta:
            return self._run(clip, dtype)
        total: Tensor | int = 0
        for turned, *flips in product((False, True), repeat=3):
            axes = [axis for axis, flip in zip((-2, -1), flips, strict=True) if flip]
            view = clip.transpose(-2, -1) if turned else clip
            restored = self._run(view.flip(axes), dtype).float().flip(axes)
            total = total + (restored.transpose(-2, -1) if turned else restored) / 8
        return total

    def _run(self, clip: Tensor, dtype: torch.dtype) -> Tensor:
        frames, (height, width) = clip.shape[1], clip.shape[-2:]
        clip = padded(clip, self._needs)
        autocast = (
            torch.autocast(self.device.type, dtype) if dtype != torch.float32 else nullcontext()
        )
        with autocast:
            restored = self.network(clip)
        if restored.ndim != 5 or self._needs == (1, 1, 1):
            return restored
        scale = restored.shape[-1] // clip.shape[-1]
        return restored[:, :frames, :, : scale * height, : scale * width]


def _checked_overlap(window: int | None, overlap: int | None) -> int | None:
    if window is not None and window < 1:
        raise ValueError(f'window must be at least 1, but got {window}')
    if overlap is not None and overlap < 0:
        raise ValueError(f'overlap must not be negative, but got {overlap}')
    if window is not None and overlap is not None and window <= 2 * overlap:
        raise ValueError(
            f'window must be more than twice the overlap, but got {window} and {overlap}'
        )
    return overlap


def _check_normalisation(preprocessor: nn.Module | None) -> None:
    """All of mmagic's recurrent networks take [0, 1]; another scale would go unnoticed."""
    mean, std = getattr(preprocessor, 'mean', None), getattr(preprocessor, 'std', None)
    if mean is not None and (mean.abs().max() > 0 or (std - 255).abs().max() > 0):
        raise ValueError(
            'the data_preprocessor must bring frames to [0, 1] (mean 0, std 255), but it has mean '
            f'{mean.flatten().tolist()} and std {std.flatten().tolist()}'
        )


def _checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    first = None
    for index, frame in enumerate(frames):
        frame = np.asarray(frame)
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype not in PEAK or 0 in frame.shape:
            raise ValueError(
                f'frame {index} must be (h, w, 3) of uint8, uint16 or float32, but is '
                f'{frame.shape} of {frame.dtype}'
            )
        first = frame if first is None else first
        if (frame.shape, frame.dtype) != (first.shape, first.dtype):
            raise ValueError(
                f'frame {index} is {frame.shape} of {frame.dtype}, but the first one '
                f'{first.shape} of {first.dtype}'
            )
        if frame.dtype == np.float32 and not np.isfinite(frame).all():
            raise ValueError(f'frame {index} holds values that are not finite')
        yield frame


def _centre(frame: np.ndarray, side: int) -> np.ndarray:
    top, left = (max(length - side, 0) // 2 for length in frame.shape[:2])
    return frame[top : top + side, left : left + side]
