# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restored frames by number, in any order, made window by window."""

from collections import OrderedDict
from collections.abc import Callable, Iterator

import numpy as np

from .planning import CHECK_FRAMES, Decision
from .restorer import VideoRestorer
from .scene_cuts import REACH, mark_cuts

# Windows that are held beside the one that was asked for last.
_KEPT_WINDOWS = 2


class RestoredFrames:
    """The frames of a restored clip; each is the one that :meth:`VideoRestorer.restore` yields.

    A frame is restored together with all others of its window, and the last windows are cached.
    Reading on into the next window costs one window; jumping elsewhere costs two, as the window
    before fades into it.

    Args:
        restorer (VideoRestorer): The network with its settings.
        read (Callable[[int], np.ndarray]): Returns a frame of the clip by its number, (h, w, 3),
            RGB: uint8, uint16 (full range) or float32 in [0, 255].
        count (int): Number of frames, at least 1.
    """

    def __init__(
        self, restorer: VideoRestorer, read: Callable[[int], np.ndarray], count: int
    ) -> None:
        self._restorer, self._read, self._count = restorer, read, count
        self._windows: OrderedDict[int, np.ndarray] = OrderedDict()
        self._decision: Decision | None = None
        self._stream: Iterator[np.ndarray] = iter(())
        self._next = -1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> np.ndarray:
        """Return a frame of the type that the clip has; see :meth:`.VideoRestorer.output_size`.

        Args:
            number (int): Its number.

        Raises:
            IndexError: There is no such frame.
        """
        if not 0 <= number < self._count:
            raise IndexError(f'there is no frame {number} in a clip of {self._count} frames')
        if self._decision is None:
            first = range(min(self._count, CHECK_FRAMES))
            self._decision = self._restorer.decide([self._read(i) for i in first])
        plan = self._decision.plan
        last = -(-max(self._count - plan.window, 0) // plan.step)
        window = min(max(number - plan.fade_start, 0) // plan.step, last)
        return self._window(window, self._decision)[number - plan.frames_before(window)]

    def _window(self, number: int, decision: Decision) -> np.ndarray:
        if number not in self._windows:
            if number != self._next:
                first = max(number - 1, 0) * decision.plan.step
                self._stream = self._restorer.restore_windows(
                    self._marked(first), decision, resumed=number > 0
                )
            # What is held elsewhere must not be changed by the window that comes next.
            self._windows[number] = next(self._stream).copy()
            self._next = number + 1
            while len(self._windows) > _KEPT_WINDOWS + 1:
                self._windows.popitem(last=False)
        self._windows.move_to_end(number)
        return self._windows[number]

    def _marked(self, first: int) -> Iterator[tuple[np.ndarray, bool]]:
        frames = (self._read(number) for number in range(first, self._count))
        enabled = self._restorer.settings.scene_cuts
        before = range(max(first - REACH, 0), first if enabled else 0)
        return mark_cuts(frames, lambda frame: frame, [*map(self._read, before)], enabled)
