# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Reading raw YUV 4:2:0 files of 8 bits: planes Y, U and V of frame after frame."""

import os
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

import cv2
import numpy as np

from ..errors import DataError
from .color import BT601, ColorInfo
from .reader import Frame, Reader, VideoInfo


def yuv_frame_size(path: str, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Width and height of a raw YUV file: as given, or from a name such as ``x_352x288_300.yuv``.

    Raises:
        DataError: The size is unknown or odd.
    """
    if size is None:
        match = re.search(r'_(\d+)x(\d+)(?=[_.])', os.path.basename(path))
        if match is None:
            raise DataError(
                f'{path} does not tell its frame size. Name it like walk_352x288_300.yuv or give '
                'yuv_size=(width, height).'
            )
        size = (int(match[1]), int(match[2]))
    if size[0] % 2 or size[1] % 2 or min(size) < 2:
        raise DataError(
            f'{path}: 4:2:0 video needs an even width and height, got {size[0]}x{size[1]}.'
        )
    return size


def count_yuv_frames(path: str, size: tuple[int, int] | None = None) -> int:
    """Number of frames in a raw YUV 4:2:0 file of 8 bits.

    Raises:
        DataError: The file's length is no multiple of its frame size.
    """
    width, height = yuv_frame_size(path, size)
    frame_bytes = width * height * 3 // 2
    length = os.path.getsize(path)
    if length == 0 or length % frame_bytes:
        raise DataError(
            f'{path} holds {length} bytes, which is no multiple of the {frame_bytes} bytes of a '
            f'{width}x{height} 4:2:0 frame of 8 bits: it is cut off, or its size is another.'
        )
    return length // frame_bytes


def read_yuv420(
    path: str, indices: Sequence[int], size: tuple[int, int] | None = None
) -> list[np.ndarray]:
    """Read some frames of a raw YUV 4:2:0 file (planes Y, U, V; 8 bits).

    Args:
        path (str): The YUV file.
        indices (Sequence[int]): Frame numbers from 0.
        size (tuple[int, int], optional): (width, height); None takes it from the name.

    Returns:
        list[np.ndarray]: Frames (h * 3 / 2, w), uint8: Y, then U and V as they lie in the file.
    """
    width, height = yuv_frame_size(path, size)
    count = count_yuv_frames(path, size)
    frame_bytes = width * height * 3 // 2
    frames = []
    with open(path, 'rb') as file:
        for index in indices:
            if index >= count:
                raise DataError(f'{path} has {count} frames; frame {index} was asked for.')
            file.seek(index * frame_bytes)
            frame = np.frombuffer(file.read(frame_bytes), np.uint8)
            frames.append(frame.reshape(height * 3 // 2, width))
    return frames


def yuv420_to_rgb(frame: np.ndarray) -> np.ndarray:
    """Convert a frame of :func:`read_yuv420` to RGB (BT.601, limited range, nearest chroma).

    Args:
        frame (np.ndarray): (h * 3 / 2, w), uint8.

    Returns:
        np.ndarray: (h, w, 3), uint8.
    """
    return cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)


class YuvReader(Reader):
    """A raw YUV 4:2:0 file of 8 bits.

    Args:
        path: The file.
        rate: Frames per second. Defaults to 25.
        size: (width, height). Defaults to None, which takes it from the name.
    """

    def __init__(
        self, path: str, rate: Fraction = Fraction(25), size: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.path = path
        self.size = yuv_frame_size(path, size)
        self.num_frames = count_yuv_frames(path, self.size)
        self.info = VideoInfo(
            height=self.size[1],
            width=self.size[0],
            rate=rate,
            time_base=1 / rate,
            color=ColorInfo(matrix=BT601),
        )

    def files(self) -> list[str]:
        """Return the file."""
        return [self.path]

    def _frames(self, start: int, stop: int) -> Iterator[Frame]:
        for index in range(start, stop):
            frame = read_yuv420(self.path, [index], self.size)[0]
            yield Frame(yuv420_to_rgb(frame), index, index, 1, f'{index:08d}')
