# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What every reader of frames offers, whatever kind of file they lie in."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from ..errors import DataError
from .color import ColorInfo


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

    def scaled(self, scale: int, width_factor: int = 1) -> 'VideoInfo':
        """Return what describes the restored video.

        Args:
            scale: Size of the output over that of the input.
            width_factor: How many frames stand side by side. Defaults to 1.
        """
        return replace(self, height=self.height * scale, width=self.width * scale * width_factor)


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
            f'{self.place} is {self.size[1]}x{self.size[0]}, the first one '
            f'{self.expected[1]}x{self.expected[0]}. Leave it out if it is one alone, or split '
            'there (--frames) and restore the parts one by one.'
        )


class Reader(ABC):
    """The frames of a clip: by number, or in a row.

    Attributes:
        path: What was given.
        info: Size, rate and colour of the first frame.
        num_frames: Number of frames.
        damage: What is wrong with the pictures; None if nothing is known to be. What only
            decoding shows is added while frames are read.
        notes: What else there is to know about the file.
        has_streams: Whether there may be sound or subtitles.
    """

    path: str
    info: VideoInfo
    num_frames: int
    damage: str | None = None
    has_streams = False

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __len__(self) -> int:
        return self.num_frames

    @abstractmethod
    def files(self) -> list[str]:
        """Return all files that are read."""

    @abstractmethod
    def _frames(self, start: int, stop: int) -> Iterator[Frame]:
        """Yield the frames from ``start`` to before ``stop``."""

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
        if min(indices) < 0 or max(indices) >= self.num_frames:
            wrong = min(indices) if min(indices) < 0 else max(indices)
            raise DataError(f'{self.path} has {self.num_frames} frames; {wrong} was asked for.')
        wanted = set(indices)
        frames = self._frames(min(wanted), max(wanted) + 1)
        found = {frame.index: frame for frame in frames if frame.index in wanted}
        return [found[index] for index in indices]

    def iterate(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Yield frames in a row, decoding none that they don't need.

        Args:
            start: Number of the first one. Defaults to 0.
            stop: Number after the last one. Defaults to None, the end.

        Raises:
            FrameSizeError: A frame is of another size than the first one yielded.
            DataError: A frame can't be read.
        """
        size: tuple[int, ...] = ()
        stop = self.num_frames if stop is None else min(stop, self.num_frames)
        for frame in self._frames(start, stop) if start < stop else ():
            height, width = frame.rgb.shape[:2]
            size = size or (height, width)
            if (height, width) != size:
                place = self.place(frame.index)
                raise FrameSizeError(place, frame.index, (height, width), (size[0], size[1]))
            yield frame

    def info_at(self, index: int) -> VideoInfo:
        """Return what describes the frames from a number on; the size may change on the way.

        Args:
            index: Number of the frame.
        """
        height, width = self.read([index])[0].rgb.shape[:2]
        return replace(self.info, height=height, width=width)

    def place(self, index: int) -> str:
        """Name a frame for a message."""
        return f'{self.path}: frame {index}'

    def fingerprint(self, start: int = 0, stop: int | None = None) -> str:
        """Return a hash of the content that frames ``start`` to before ``stop`` are read from."""
        digest = hashlib.sha256()
        for file in self.files():
            stat = os.stat(file)
            digest.update(f'{os.path.abspath(file)} {stat.st_size} {stat.st_mtime_ns}\n'.encode())
        return digest.hexdigest()
