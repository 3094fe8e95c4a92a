# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A stream of frames through a network, in windows and tiles."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain, islice, pairwise, product
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import DataError
from ..export.backends import EXTRAS
from ..export.quantization import bundled_ranges
from ..version import __version__
from .defaults import TILE_OVERLAP
from .planning import CHECK_FRAMES, Decision, Settings, decide
from .predictor import PEAK, Predictor
from .resizing import resize
from .scene_cuts import mark_cuts
from .windows import (
    RestoredWindow,
    Tile,
    TilingPlan,
    join_windows,
    place,
    sliding_windows,
    thin_out,
    tile_axis,
    while_wanted,
)

_log = logging.getLogger(__name__)


class VideoRestorer:
    """Restore videos of any length and size in bounded memory.

    The network sees windows over time with overlap, and tiles where whole frames do not fit. What
    it makes of the overlaps is discarded, for it lacks context there. It never sees two scenes at
    once: a window with a cut in it is restored as two clips.

    Args:
        model (nn.Module): A model of mmagic with a ``generator``, or a network alone: frames in
            [0, 1], (n, t, 3, h, w), to (n, t, 3, s * h, s * w). It is moved to ``device`` and set
            to evaluation.
        device (str | torch.device): 'auto' takes a GPU if there is one. Defaults to 'auto'.
        dtype (str): 'float32', 'bfloat16', 'int8' (convolutions of a bundled network, by another
            ``backend`` than torch) or 'auto': bfloat16 if the device computes in it and the first
            frames stay close enough to float32. Defaults to 'auto'.
        window (int, optional): Frames that the network sees at once. Defaults to None, 60 or
            less as memory allows.
        overlap (int, optional): Frames that neighbouring windows share. Defaults to None, 16 or
            two thirds of the window.
        tile (int, optional): Side of tiles in pixels; 0 for whole frames. Defaults to None, as
            large as memory allows.
        tile_overlap (int): Pixels that neighbouring tiles share. Defaults to 64.
        tta (bool): Whether to average over the 8 flips and rotations of the frames. Defaults to
            False.
        memory_limit (int, optional): Bytes that may be used. Defaults to None, most of what is
            free.
        offload (bool): Whether the hidden states of an S2SVR on a GPU lie in main memory, which
            lets larger windows and tiles fit. Defaults to False.
        scene_cuts (bool): Whether to look for scene cuts, and restore each scene as a clip of its
            own. Defaults to True.
        processes (int): How many processes share the main memory of this machine. Defaults to 1.
        backend (str): What computes an S2SVR or a BasicVSR: 'torch'; on the CPU 'onnxruntime' or
            'openvino', in float32 or int8 (bundled networks); or 'auto', the fastest of those
            installed on the first frames, int8 if it is close enough to float32. Defaults to
            'torch'.
        size (str, optional): Size of restored frames: '1920x1080', '1080p' (the width goes with
            it) or '2x', times the input's. What the network makes is resized to it. Defaults to
            None, as the network makes them.

    Attributes:
        predictor (Predictor): The network on its device.
        settings (Settings): What was given, but for the network, the device and ``tta``.

    Raises:
        ConfigError: An argument is not valid.
    """

    def __init__(
        self,
        model: nn.Module,
        device: str | torch.device = 'auto',
        dtype: str = 'auto',
        window: int | None = None,
        overlap: int | None = None,
        tile: int | None = None,
        tile_overlap: int = TILE_OVERLAP,
        tta: bool = False,
        memory_limit: int | None = None,
        offload: bool = False,
        scene_cuts: bool = True,
        processes: int = 1,
        backend: str = 'torch',
        size: str | None = None,
    ) -> None:
        self.settings = Settings(
            dtype,
            window,
            overlap,
            tile,
            tile_overlap,
            memory_limit,
            scene_cuts,
            processes,
            backend,
            size,
        )
        if backend in EXTRAS and device == 'auto':
            device = 'cpu'
        self.predictor = Predictor(model, device, tta, offload)
        if backend != 'auto':
            self.predictor.check_backend(backend, dtype)

    @property
    def network(self) -> nn.Module:
        """The network."""
        return self.predictor.network

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.predictor.device

    @property
    def scale(self) -> int:
        """Factor by which the network enlarges each side."""
        return self.predictor.scale

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the frames restored from those of a height and width."""
        made = self.scale * height, self.scale * width
        return self.settings.output_size(height, width) or made

    def fingerprint(self) -> dict[str, Any]:
        """All that the result depends on beside the frames, as plain data."""
        settings = asdict(self.settings)
        del settings['memory_limit'], settings['processes']
        if self.settings.dtype == 'int8':
            settings['ranges'] = [list(ends) for ends in bundled_ranges(self.network).values()]
        return {
            'version': __version__,
            'network': self.predictor.fingerprint(),
            'device': self.device.type,
            'tta': self.predictor.tta,
            **settings,
        }

    def decide(self, frames: Sequence[np.ndarray]) -> Decision:
        """Choose windows, tiles and the type of numbers for a video.

        Args:
            frames (Sequence[np.ndarray]): Its first frames, (h, w, 3), up to 8.

        Returns:
            Decision: The choice, with notes on it.

        Raises:
            NotEnoughMemoryError: Not even the smallest windows and tiles fit.
        """
        return decide(self.predictor, frames, self.settings)

    def restore(
        self, frames: Iterable[np.ndarray], decision: Decision | None = None
    ) -> Iterator[np.ndarray]:
        """Restore a stream of frames, lazily: no more than a window of them is held.

        Args:
            frames (Iterable[np.ndarray]): (h, w, 3), RGB, all of one size: uint8, uint16 (full
                range) or float32 in [0, 255].
            decision (Decision, optional): What :meth:`decide` returned. Defaults to None: it is
                called with the first frames, and its notes are logged.

        Yields:
            np.ndarray: (height, width, 3) for each frame, of the same type; see
            :meth:`output_size`.

        Raises:
            DataError: An item is not a frame, or differs from the first in size or type.
            NonFiniteError: The network returns NaN or infinite values.
        """
        source = _checked(frames)
        if decision is None:
            first = list(islice(source, CHECK_FRAMES))
            if not first:
                return
            decision = self.decide(first)
            for note in decision.notes:
                _log.info(note)
            source = chain(_drained(first), source)
        marked = mark_cuts(source, lambda frame: frame, enabled=self.settings.scene_cuts)
        for window in self.restore_windows(marked, decision):
            yield from window

    def restore_windows(
        self,
        frames: Iterable[tuple[np.ndarray, bool]],
        decision: Decision,
        resumed: bool = False,
        proceed: Callable[[int], bool] = lambda number: True,
    ) -> Iterator[np.ndarray]:
        """Restore a stream window by window.

        Args:
            frames (Iterable[tuple[np.ndarray, bool]]): Frames as for :meth:`restore`, and whether
                a scene begins with each.
            decision (Decision): Windows, tiles and type.
            resumed (bool): Whether the stream starts with a later window than the video's first.
                Defaults to False.
            proceed (Callable[[int], bool]): Called before each further window with its number in
                the stream; returns whether to restore it. Defaults to always True.

        Yields:
            np.ndarray: What each window adds to the result, (k, height, width, 3). Of a resumed
            stream's first window nothing is yielded, it only fades into the next one.
        """
        wanted = while_wanted(sliding_windows(frames, decision.plan), proceed)
        windows = self._restored(wanted, decision)
        for window in join_windows(windows, decision.plan, resumed):
            height, width = (side // self.scale for side in window.shape[1:3])
            yield resize(window, self.output_size(height, width))

    def _restored(
        self,
        windows: Iterable[tuple[Sequence[tuple[np.ndarray, bool]], bool]],
        decision: Decision,
    ) -> Iterator[RestoredWindow]:
        """Restore windows scene by scene, and these tile by tile: tiles join to rows and frames."""
        begun: deque[tuple[list[list[int]], list[Tile], list[Tile], bool, list[int]]] = deque()
        plan: TilingPlan = decision.plan

        def clips() -> Iterator[list[np.ndarray]]:
            for window, is_last in windows:
                height, width, _ = window[0][0].shape
                rows = tile_axis(height, plan.tile, plan.tile_overlap)
                columns = tile_axis(width, plan.tile, plan.tile_overlap)
                cuts = [place for place, (_, starts) in enumerate(window) if starts]
                bounds = sorted({0, *cuts, len(window)})
                scenes = [
                    thin_out([frame for frame, _ in window[start:stop]])
                    for start, stop in pairwise(bounds)
                ]
                begun.append(([places for _, places in scenes], rows, columns, is_last, cuts))
                for (seen, _), y, x in product(scenes, rows, columns):
                    yield [frame[y.start : y.stop, x.start : x.stop] for frame in seen]

        restored = self.predictor.restore(clips(), decision.dtype, decision.backend)
        for first in restored:
            scenes, rows, columns, is_last, cuts = begun.popleft()
            tiles = chain((first,), restored)
            frames = [self._scene(tiles, places, rows, columns) for places in scenes]
            whole = frames[0] if len(frames) == 1 else np.concatenate(frames)
            yield RestoredWindow(whole, is_last, cuts)

    def _scene(
        self,
        clips: Iterator[np.ndarray],
        places: list[int],
        rows: Sequence[Tile],
        columns: Sequence[Tile],
    ) -> np.ndarray:
        """Join the restored tiles of a scene, and repeat what stands for equal frames."""
        frames = self._joined(clips, rows, columns)
        return frames if len(places) == len(frames) else frames[places]

    def _joined(
        self,
        clips: Iterator[np.ndarray],
        rows: Sequence[Tile],
        columns: Sequence[Tile],
    ) -> np.ndarray:
        """Join the restored tiles of a window, row by row."""
        first = next(clips)
        if len(rows) == len(columns) == 1:
            return first
        t, height, width = len(first), rows[-1].stop, columns[-1].stop
        s, clips = self.scale, chain((first,), clips)
        result = np.empty((t, s * height, s * width, 3), first.dtype)
        for y in rows:
            row = np.empty((t, s * (y.stop - y.start), s * width, 3), first.dtype)
            for x in columns:
                place(row, next(clips), x, s, axis=2)
            place(result, row, y, s, axis=1)
        return result


def _drained(frames: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield frames and let go of each."""
    while frames:
        yield frames.pop(0)


def _checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    first = None
    for index, frame in enumerate(frames):
        frame = np.asarray(frame)
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype not in PEAK or 0 in frame.shape:
            raise DataError(
                f'frame {index} must be (h, w, 3) of uint8, uint16 or float32, but is '
                f'{frame.shape} of {frame.dtype}'
            )
        first = frame if first is None else first
        if (frame.shape, frame.dtype) != (first.shape, first.dtype):
            raise DataError(
                f'frame {index} is {frame.shape} of {frame.dtype}, but the first one is '
                f'{first.shape} of {first.dtype}'
            )
        if frame.dtype == np.float32 and not np.isfinite(frame).all():
            raise DataError(f'frame {index} holds values that are not finite')
        yield frame
