# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Scene cuts in a stream of frames, each found from the few frames around it.

Frames are reduced to small luma images. Two of them differ by the share of their contrast that no
shift of the one explains in the other, block by block, so that neither motion nor a change of
brightness counts. A cut lies where neighbours differ far more than the frames around do, unless
the picture comes back within a few frames, as after a flash.

A decision depends on ``REACH`` frames to either side and on nothing else. So it is the same
wherever reading begins: in a pipe, after an interruption, in a process of its own.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import cv2
import numpy as np

from .predictor import PEAK

T = TypeVar('T')

# Frames on either side that a decision depends on.
REACH = 8
# Frames that a flash lasts at most.
_FLASH = 4
# The difference of neighbours across a cut: at least this, of 1, and so many times the median of
# those around. Below the last one a picture has come back.
_LEAST, _TIMES, _BACK = 0.26, 2.3, 0.2
# Luma images, their blocks, and the shifts that are tried, in pixels: up to a fifth of the width.
_WIDTH, _HEIGHT, _BLOCK_WIDTH, _BLOCK_HEIGHT, _SHIFT = 64, 36, 32, 18, 12
# Contrast of noise, in grey levels: frames with no more than that count as equal.
_NOISE = 1.0


@dataclass(frozen=True)
class _Difference:
    """How two luma images differ, in grey levels.

    Attributes:
        unexplained (float): What no shift explains.
        contrast (float): All there is to explain.
    """

    unexplained: float
    contrast: float


@dataclass(frozen=True)
class _Look:
    """A frame's luma image, and how it differs from the frame before; None for the first one."""

    luma: np.ndarray
    difference: _Difference | None


def mark_cuts(
    items: Iterable[T],
    image: Callable[[T], np.ndarray],
    before: Sequence[np.ndarray] = (),
    enabled: bool = True,
) -> Iterator[tuple[T, bool]]:
    """Yield each frame of a stream and whether a scene begins with it.

    Args:
        items (Iterable): The frames, read ``REACH`` ahead.
        image (Callable): Returns an item's pixels, (h, w, 3), RGB: uint8, uint16 (full range) or
            float32 in [0, 255]. Sizes may differ.
        before (Sequence[np.ndarray]): The frames before the first one: ``REACH`` of them, or
            all there are. Defaults to none.
        enabled (bool): Whether to look for cuts; without, there are none and nothing is read
            ahead. Defaults to True.

    Yields:
        tuple: Each item, and whether a cut lies before it; never at the first frame of all.
    """
    if not enabled:
        yield from ((item, False) for item in items)
        return
    looks: deque[_Look] = deque(maxlen=2 * REACH + 1)
    waiting: deque[T] = deque()
    for frame in before:
        _look(frame, looks)
    for item in items:
        _look(image(item), looks)
        waiting.append(item)
        if len(waiting) > REACH:
            yield waiting.popleft(), _is_cut(looks, REACH)
    while waiting:
        yield waiting.popleft(), _is_cut(looks, len(waiting))


def _look(frame: np.ndarray, looks: deque[_Look]) -> None:
    small = cv2.resize(frame, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)
    luma = cv2.cvtColor(small.astype(np.float32) * (255 / PEAK[frame.dtype]), cv2.COLOR_RGB2GRAY)
    looks.append(_Look(luma, _difference(looks[-1].luma, luma) if looks else None))


def _is_cut(looks: deque[_Look], ahead: int) -> bool:
    """Whether a cut lies before the frame that has so many after it."""
    around = list(looks)
    at = len(around) - 1 - ahead
    # The farthest frame before has no other to differ from where reading began with it.
    first = max(at - REACH, 0) + 1
    near = [look.difference for look in around[first : at + REACH + 1] if look.difference]
    here = around[at].difference
    if at == 0 or here is None:
        return False
    # That of a fade's first frame from black is nothing beside what it fades to.
    scale = max(difference.contrast for difference in near) + _NOISE
    usual = float(np.median([d.unexplained for d in near if d is not here] or [0.0]))
    if here.unexplained < max(_LEAST * scale, _TIMES * usual):
        return False
    return not _comes_back([look.luma for look in around], at)


def _comes_back(lumas: Sequence[np.ndarray], at: int) -> bool:
    """Whether the picture before a change, or that after it, is there on its other side, too."""
    later = [(at - 1, i) for i in range(at + 1, min(at + _FLASH + 1, len(lumas)))]
    earlier = [(i, at) for i in range(max(at - 1 - _FLASH, 0), at - 1)]
    for one, other in later + earlier:
        difference = _difference(lumas[one], lumas[other])
        if difference.unexplained < _BACK * (difference.contrast + _NOISE):
            return True
    return False


def _difference(one: np.ndarray, other: np.ndarray) -> _Difference:
    """Compare two luma images both ways: what is new in the other, and what is gone."""
    new, gone = _one_way(one, other), _one_way(other, one)
    return _Difference(max(new.unexplained, gone.unexplained), max(new.contrast, gone.contrast))


def _one_way(source: np.ndarray, target: np.ndarray) -> _Difference:
    around = cv2.copyMakeBorder(source, _SHIFT, _SHIFT, _SHIFT, _SHIFT, cv2.BORDER_REPLICATE)
    unexplained, contrasts = [], []
    for y, x in product(range(0, _HEIGHT, _BLOCK_HEIGHT), range(0, _WIDTH, _BLOCK_WIDTH)):
        block = target[y : y + _BLOCK_HEIGHT, x : x + _BLOCK_WIDTH]
        field = around[y : y + _BLOCK_HEIGHT + 2 * _SHIFT, x : x + _BLOCK_WIDTH + 2 * _SHIFT]
        contrast = float(block.std())
        contrasts.append(contrast)
        unexplained.append(contrast * (1 - _best_correlation(field, block)))
    return _Difference(float(np.mean(unexplained)), float(np.mean(contrasts)))


def _best_correlation(field: np.ndarray, block: np.ndarray) -> float:
    """Greatest correlation of a block with any place of a field, from 0 to 1."""
    found = cv2.matchTemplate(field, block, cv2.TM_CCOEFF_NORMED)
    # At flat places OpenCV divides by zero.
    sound = found[np.abs(found) <= 1 + 1e-3]
    return float(np.clip(sound.max(), 0, 1)) if sound.size else 0.0
