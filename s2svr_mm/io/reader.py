# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The interface of all readers of frames: of videos, images and raw YUV."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice

import numpy as np

from ..errors import DataError
from .color import ColorInfo
from .damage import Damage


@dataclass(frozen=True)
class VideoInfo:
    """Size, rate and colour of a clip's frames.

    Attributes:
        height: Height, upright.
        width: Width, upright.
        pixel_aspect: Width of a pixel over its height, upright.
        rate: Frames per second, on average.
        time_base: Seconds of one tick of the frames' times.
        color: Depth, chroma sampling and colour.
    """

    height: int
    width: int
    pixel_aspect: Fraction = Fraction(1)
    rate: Fraction = Fraction(25)
    time_base: Fraction = Fraction(1, 25)
    color: ColorInfo = field(default_factory=ColorInfo)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    def resized(self, height: int, width: int) -> 'VideoInfo':
        """Return what describes the video in another size; it is shown as it was.

        Args:
            height: Height to be.
            width: Width to be.
        """
        aspect = self.pixel_aspect
        # Less is the rounding of a width that goes with a height.
        if abs(width * self.height - self.width * height) >= 2 * self.height:
            aspect *= Fraction(self.width * height, self.height * width)
        return replace(self, height=height, width=width, pixel_aspect=aspect)


@dataclass(frozen=True)
class Frame:
    """One frame of a clip.

    Attributes:
        rgb: (h, w, 3), uint8 or uint16, full range, upright.
        index: Its number in the clip, from 0.
        time: When it is shown, in ticks, as the file says; it need not rise.
        duration: How long it is shown, in ticks; 0 if unknown.
        name: Name for a file of it, without an ending.
    """

    rgb: np.ndarray
    index: int
    time: int
    duration: int
    name: str


class FrameSizeError(DataError):
    """A frame of another size than those before it.

    Args:
        place: The frame, for the message.
        index: Its number in the clip.
        size: Its (height, width).
        expected: (height, width) of the frames before.
    """

    def __init__(
        self, place: str, index: int, size: tuple[int, int], expected: tuple[int, int]
    ) -> None:
        super().__init__(place, index, size, expected)
        self.place, self.index, self.size, self.expected = place, index, size, expected

    def __str__(self) -> str:
        return (
            f'{self.place} is {self.size[1]}x{self.size[0]}, but the first one is '
            f'{self.expected[1]}x{self.expected[0]}. Frames of a clip need one size: remove this '
            'one if it is alone, or split the clip there.'
        )


class Reader(ABC):
    """The frames of a clip: by number, or in a row.

    A reader is a light handle that can be pickled: files are open while frames are read, no longer.

    Attributes:
        path: What was given.
        num_frames: Number of frames.
        info: Size, rate and colour of the first frame.
        times: When each frame is shown, in ticks, as the file says; it need not rise.
        damage: What is wrong with the pictures, None if nothing is known to be. What only decoding
            shows is added while frames are read.
        notes: What else there is to know about the file.
    """

    path: str

    def __len__(self) -> int:
        return self.num_frames

    @property
    @abstractmethod
    def num_frames(self) -> int:
        """Number of frames."""

    @property
    @abstractmethod
    def info(self) -> VideoInfo:
        """Size, rate and colour of the first frame."""

    @property
    def times(self) -> list[int]:
        """When each frame is shown, in ticks, as the file says; it need not rise."""
        return list(range(self.num_frames))

    @property
    def damage(self) -> Damage | None:
        """What is wrong with the pictures, as far as is known."""
        return None

    def first_frames(self, start: int, stop: int | None, count: int) -> list[Frame]:
        """Read some frames, up to one of another size.

        Args:
            start: Number of the first one.
            stop: The number that ends the range; None for the end.
            count: How many, at most.

        Raises:
            DataError: There is none.
        """
        frames: list[Frame] = []
        with suppress(FrameSizeError):
            for frame in islice(self.iterate(start, stop), count):
                frames.append(frame)
        if not frames:
            raise DataError(f'{self.path} has no frame {start}. {self.damage or ""}')
        return frames

    @property
    def notes(self) -> list[str]:
        """What else there is to know about the file."""
        return []

    @abstractmethod
    def files(self) -> list[str]:
        """Return all files that are read."""

    @abstractmethod
    def fingerprint(self, start: int = 0, stop: int | None = None) -> str:
        """Return a hash of the content that frames are read from, wherever it lies.

        Args:
            start: Number of the first frame. Defaults to 0.
            stop: Number after the last one. Defaults to None, the end.
        """

    @abstractmethod
    def _frames(self, start: int, stop: int, wanted: frozenset[int] | None) -> Iterator[Frame]:
        """Yield the frames from ``start`` to before ``stop``, or those that are wanted of them."""

    def read(self, indices: Sequence[int]) -> list[Frame]:
        """Read frames by number.

        Args:
            indices: Numbers from 0, in any order.

        Returns:
            A frame for each number.

        Raises:
            DataError: There is no such frame, or it can't be read.
        """
        if not indices:
            return []
        first, last = min(indices), max(indices)
        if first < 0 or last >= self.num_frames:
            wrong = first if first < 0 else last
            raise DataError(f'{self.path} has {self.num_frames} frames; {wrong} was asked for.')
        frames = self._frames(first, last + 1, frozenset(indices))
        found = {frame.index: frame for frame in frames}
        return [found[index] for index in indices]

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames in a row, decoding as little as possible before the first.

        Args:
            start: Number of the first one. Defaults to 0.
            stop: Number after the last one. Defaults to None, the end.

        Yields:
            Each frame.

        Raises:
            FrameSizeError: A frame is of another size than the first one yielded.
            DataError: A frame can't be read.
        """
        expected: tuple[int, int] | None = None
        stop = self.num_frames if stop is None else min(stop, self.num_frames)
        for frame in self._frames(start, stop, None) if start < stop else ():
            size = (frame.rgb.shape[0], frame.rgb.shape[1])
            expected = expected or size
            if size != expected:
                raise FrameSizeError(self.place(frame.index), frame.index, size, expected)
            yield frame

    def info_at(self, index: int) -> VideoInfo:
        """Return what describes a frame; the size may change on the way.

        Args:
            index: Number of the frame.
        """
        height, width = self.read([index])[0].rgb.shape[:2]
        return replace(self.info, height=height, width=width)

    def place(self, index: int) -> str:
        """Name a frame for a message."""
        return f'{self.path}: frame {index}'
