# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Windows over time and tiles over the frame, which a network can take at once.

Neighbours overlap. Near its ends a window or tile lacks context, so what is made of these is
discarded; in the middle of the overlap one fades into the next, or gives way to it at a scene cut.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar('T')

# Tiles start at multiples of this: a network that shrinks frames sees the whole frame's grid.
GRID = 4
# Equal frames in a row that a network sees; see :func:`thin_out`.
STILL = 7


@dataclass(frozen=True)
class TilingPlan:
    """How a video is cut into windows and tiles.

    Window k has the frames from ``k * step`` on; where it lies never depends on where reading
    began. A window fades into the next one over :attr:`fade` frames, from the next one's frame
    :attr:`fade_start` on.

    Attributes:
        window (int): Frames that the network sees at once.
        overlap (int): Frames that neighbouring windows share.
        tile (int): Side of a tile in pixels of the input; 0 for whole frames.
        tile_overlap (int): Pixels that neighbouring tiles share at least.
    """

    window: int
    overlap: int
    tile: int = 0
    tile_overlap: int = 0

    @property
    def step(self) -> int:
        """Frames from a window's start to the next one's."""
        return self.window - self.overlap

    @property
    def fade(self) -> int:
        """Frames over which a window fades into the next one."""
        return min(self.overlap // 2, self.step)

    @property
    def fade_start(self) -> int:
        """The first frame of a window that is used, but for the video's first window."""
        return (self.overlap - self.fade + 1) // 2

    def __str__(self) -> str:
        tiles = f'tiles of {self.tile}, overlap {self.tile_overlap}'
        return (
            f'windows of {self.window} frames, overlap {self.overlap}; '
            f'{tiles if self.tile else "whole frames"}'
        )

    def frames_before(self, window: int) -> int:
        """Return the number of frames that are done when window number ``window`` comes."""
        return window * self.step + self.fade_start if window else 0


@dataclass(frozen=True)
class Segments:
    """How windows are grouped: what lies in whole segments need not be restored again.

    Attributes:
        plan (TilingPlan): The windows.
        length (int): Windows of a segment.
        reach (int): Frames on either side of one that tell whether a scene begins with it.
    """

    plan: TilingPlan
    length: int
    reach: int = 0

    @classmethod
    def of(cls, plan: TilingPlan, frames: int, reach: int = 0) -> 'Segments':
        """Group windows into segments of about so many frames."""
        return cls(plan, math.ceil(frames / plan.step), reach)

    def first_window(self, segment: int) -> int:
        """Return the window to begin with: the one before the segment's, as it fades into them."""
        return max(segment * self.length - 1, 0)

    def frames_before(self, segment: int) -> int:
        """Return the number of frames in the segments before."""
        return self.plan.frames_before(segment * self.length)

    def count(self, frames: int) -> int:
        """Return the number of segments of so many frames."""
        windows = 1 + math.ceil(max(frames - self.plan.window, 0) / self.plan.step)
        return math.ceil(windows / self.length)

    def needs(self, segment: int) -> tuple[int, int]:
        """First frame, and the one after the last, that a segment's content depends on.

        The first one may lie before the first of all.
        """
        last = (segment + 1) * self.length - 1
        # One more: that there is one tells the window from a last one.
        stop = last * self.plan.step + self.plan.window + 1
        return self.first_window(segment) * self.plan.step - self.reach, stop + self.reach


def sliding_windows(frames: Iterable[T], plan: TilingPlan) -> Iterator[tuple[Sequence[T], bool]]:
    """Cut a stream of frames into windows.

    Args:
        frames (Iterable): The frames, from the start of a window on; no more than
            ``window + 1`` of them are held.
        plan (TilingPlan): How long the windows are.

    Yields:
        tuple[Sequence, bool]: The frames of a window, and whether it is the last one. All have
        ``window`` frames but the last, which has more than ``overlap`` unless it is the only one.
    """
    source = iter(frames)
    held = list(islice(source, plan.window + 1))
    while len(held) > plan.window:
        yield held[: plan.window], False
        del held[: plan.step]
        held.extend(islice(source, plan.step))
    if held:
        yield held, True


def while_wanted(
    windows: Iterable[tuple[Sequence[T], bool]], proceed: Callable[[int], bool]
) -> Iterator[tuple[Sequence[T], bool]]:
    """Pass windows on until one is not wanted.

    Args:
        windows (Iterable): As :func:`sliding_windows` yields them.
        proceed (Callable[[int], bool]): Asked with the number of each window but the first,
            before it is read, whether it is wanted.

    Yields:
        tuple[Sequence, bool]: The windows.
    """
    for number, (window, is_last) in enumerate(windows, 1):
        yield window, is_last
        if not is_last and not proceed(number):
            return


def thin_out(frames: Sequence[np.ndarray]) -> tuple[list[np.ndarray], list[int]]:
    """Shorten the runs of equal frames that are longer than a network is at its best on.

    Recurrent networks drift on footage that stands still: s2svr_s_x4 loses up to 0.9 dB in 40
    equal frames against 7. What it makes of the middle of a shortened run stands for all of it, so
    that equal frames stay equal.

    Args:
        frames (Sequence[np.ndarray]): The frames of a window.

    Returns:
        tuple[list[np.ndarray], list[int]]: The frames that the network is to see, and for each
        frame of the window the place among them of what it becomes.
    """
    changes = [i for i in range(1, len(frames)) if not np.array_equal(frames[i - 1], frames[i])]
    seen: list[np.ndarray] = []
    places: list[int] = []
    for start, stop in pairwise([0, *changes, len(frames)]):
        first = len(seen)
        seen += frames[start : min(stop, start + STILL)]
        if stop - start > STILL:
            places += [first + STILL // 2] * (stop - start)
        else:
            places += range(first, len(seen))
    return seen, places


class RestoredWindow(NamedTuple):
    """What a network makes of a window.

    Attributes:
        frames (np.ndarray): (t, h, w, 3).
        is_last (bool): Whether the video ends with it.
        cuts (Sequence[int]): Places of the frames that a scene begins with.
    """

    frames: np.ndarray
    is_last: bool
    cuts: Sequence[int] = ()


def join_windows(
    windows: Iterable[RestoredWindow], plan: TilingPlan, resumed: bool = False
) -> Iterator[np.ndarray]:
    """Join restored windows.

    Args:
        windows (Iterable[RestoredWindow]): The windows.
        plan (TilingPlan): How long the windows are.
        resumed (bool): Whether the first one is not the video's first. It then only fades into
            the next one. Default: False.

    Yields:
        np.ndarray: What each window adds to the video, (k, h, w, 3). Of a resumed stream's first
        window nothing is yielded.
    """
    shared: np.ndarray | None = None
    for number, (window, is_last, cuts) in enumerate(windows):
        start = plan.fade_start if number else 0
        stop = len(window) if is_last else plan.step + plan.fade_start
        if shared is not None:
            _take_over(shared, window[start:], [cut - start for cut in cuts], plan)
        if number or not resumed:
            yield window[start:stop]
        shared = None if is_last else window[stop : plan.window].copy()


def _take_over(old: np.ndarray, new: np.ndarray, cuts: Sequence[int], plan: TilingPlan) -> None:
    """Go over from a window to the next one, in the frames that both have.

    At a cut that is at once: the old window has all of the scene before that the new one has, and
    more, and the new one all of the scene after. Elsewhere one fades into the other.

    Args:
        old (np.ndarray): The old window's last frames.
        new (np.ndarray): The new window's frames from the same place on; those that come from the
            old one are changed.
        cuts (Sequence[int]): Places of the frames, counted from there, that a scene begins with.
        plan (TilingPlan): How long the windows are.
    """
    cut = next((cut for cut in cuts if -plan.fade_start <= cut <= len(old)), None)
    if cut is not None:
        # The window after the next one takes over from frames of the new one alone.
        count = min(max(cut, 0), plan.step)
        new[:count] = old[:count]
        return
    for i in range(plan.fade):
        blend(old[i], new[i], np.float32((i + 1) / (plan.fade + 1)), out=new[i])


class Tile(NamedTuple):
    """A stretch of one axis.

    Attributes:
        start (int): First pixel.
        stop (int): The pixel after the last.
        fade_start (int): Where the tile before begins to fade into this one.
        fade_stop (int): Where only this one is left.
    """

    start: int
    stop: int
    fade_start: int
    fade_stop: int


def tile_axis(length: int, tile: int, overlap: int) -> list[Tile]:
    """Cut one axis of a frame into overlapping tiles.

    Args:
        length (int): Length of the axis in pixels.
        tile (int): Length of a tile, 0 for the whole axis; if smaller than ``length``, at least
            ``overlap + 4``.
        overlap (int): Pixels that neighbours share at least. They fade over the middle half of
            what they share.

    Returns:
        list[Tile]: Tiles that cover the axis. The last one is up to 3 pixels longer.
    """
    if not 0 < tile < length:
        return [Tile(0, length, 0, 0)]
    last = (length - tile) // GRID * GRID
    starts = [*range(0, last, (tile - overlap) // GRID * GRID), last]
    stops = [*(start + tile for start in starts[:-1]), length]
    tiles = [Tile(0, stops[0], 0, 0)]
    for i in range(1, len(starts)):
        shared = stops[i - 1] - starts[i]
        fade_start = starts[i] + shared // 4
        tiles.append(Tile(starts[i], stops[i], fade_start, fade_start + shared // 2))
    return tiles


def place(target: np.ndarray, piece: np.ndarray, tile: Tile, scale: int, axis: int) -> None:
    """Put a restored tile beside the ones before it.

    Args:
        target (np.ndarray): Where it goes; what comes before it is there already.
        piece (np.ndarray): The restored tile, of the same size in all other axes. It is changed.
        tile (Tile): Where it lies, in pixels of the input.
        scale (int): Size of the output over that of the input.
        axis (int): The axis that is cut.
    """
    target, piece = target.swapaxes(0, axis), piece.swapaxes(0, axis)
    begin, end = scale * tile.fade_start, scale * tile.fade_stop
    offset = scale * tile.start
    length = end - begin
    weight = (np.arange(length, dtype=np.float32) + 1) / (length + 1)
    weight = weight.reshape(-1, *[1] * (target.ndim - 1))
    blend(target[begin:end], piece[begin - offset : end - offset], weight, out=target[begin:end])
    target[end : scale * tile.stop] = piece[end - offset :]


def blend(
    old: np.ndarray, new: np.ndarray, weight: np.ndarray | np.float32, out: np.ndarray
) -> None:
    """Write ``(1 - weight) * old + weight * new`` to ``out``, rounded if those are integers."""
    mixed = old * (1 - weight) + new * weight
    out[...] = mixed if out.dtype.kind == 'f' else np.rint(mixed)
