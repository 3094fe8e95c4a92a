# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Reading image files."""

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ..errors import DataError
from ..utils.manifest import marked_png
from .color import ColorInfo
from .paths import suffix_of
from .reader import Frame, Reader, VideoInfo


def read_image(path: str) -> np.ndarray:
    """Read one image file as RGB.

    Grey images get three equal channels; an alpha channel is dropped if it is opaque everywhere
    and refused otherwise; 16-bit images become float32 in [0, 255]. A JPEG's orientation tag is
    applied.

    Args:
        path (str): The image file.

    Returns:
        np.ndarray: (h, w, 3), uint8 or float32, RGB in [0, 255].

    Raises:
        DataError: The file is missing, truncated, damaged, transparent or not an image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f'Cannot read the frame {path}: {error.strerror}.') from error
    # cv2 applies a JPEG's orientation only when asked for colour.
    flag = cv2.IMREAD_COLOR if suffix_of(path) in ('.jpg', '.jpeg') else cv2.IMREAD_UNCHANGED
    image = cv2.imdecode(data, flag) if data.size else None
    if image is None:
        raise DataError(
            f'The frame {path} ({data.size} bytes) is truncated, damaged or not an image. '
            'Copy or extract it again.'
        )
    if image.dtype == np.uint16:
        image = (image / np.float32(257)).astype(np.float32)
    elif image.dtype != np.uint8:
        raise DataError(
            f'The frame {path} holds {image.dtype} pixels; convert it to an 8-bit or 16-bit PNG.'
        )
    if image.ndim == 2:
        image = image[:, :, None]
    channels = image.shape[2]
    if channels in (2, 4):
        if image[:, :, -1].min() < 255:
            raise DataError(
                f'The frame {path} is partly transparent, so its colours are not defined. '
                'Flatten it onto a background.'
            )
        image = image[:, :, :-1]
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB)


def encode_png(frame: np.ndarray) -> bytes:
    """Encode an RGB frame as a PNG.

    Args:
        frame (np.ndarray): (h, w, 3), RGB: uint16 becomes a PNG of 16 bits, anything else is
            rounded from [0, 255] to 8 bits.

    Returns:
        bytes: Content of the file, marked as ours.
    """
    pixels = frame if frame.dtype == np.uint16 else to_uint8(frame)
    content = cv2.imencode('.png', np.ascontiguousarray(pixels[..., ::-1]))[1]
    return marked_png(content.tobytes())


def write_png(path: Path, frame: np.ndarray) -> None:
    """Write an RGB frame as a PNG; see :func:`encode_png`."""
    path.write_bytes(encode_png(frame))


def to_uint8(frame: np.ndarray) -> np.ndarray:
    """Round a frame with values in [0, 255] to 8 bits."""
    return np.clip(np.round(frame), 0, 255).astype(np.uint8)


class ImageReader(Reader):
    """Image files, one a frame.

    Args:
        path: What was given, for messages.
        images: The files in order.
        rate: Frames per second. Defaults to 25.
    """

    def __init__(self, path: str, images: Sequence[str], rate: Fraction = Fraction(25)) -> None:
        super().__init__()
        self.path = path
        self.images = list(images)
        self.num_frames = len(self.images)
        stems = [os.path.splitext(os.path.basename(image))[0] for image in images]
        # Images of several folders may share names.
        distinct = len(set(stems)) == len(stems)
        self._names = stems if distinct else [f'{i:08d}' for i in range(len(stems))]
        first = read_image(images[0])
        self.info = VideoInfo(
            height=first.shape[0],
            width=first.shape[1],
            rate=rate,
            time_base=1 / rate,
            color=ColorInfo(bits=8 if first.dtype == np.uint8 else 10),
        )

    def files(self) -> list[str]:
        """Return the image files."""
        return self.images

    def place(self, index: int) -> str:
        """Name a frame for a message."""
        return f'{self.images[index]} (frame {index})'

    def _frames(self, start: int, stop: int) -> Iterator[Frame]:
        for index in range(start, stop):
            rgb = _with_bits(read_image(self.images[index]), self.info.color.bits)
            yield Frame(rgb, index, index, 1, self._names[index])


def _with_bits(rgb: np.ndarray, bits: int) -> np.ndarray:
    """Turn an image of :func:`read_image` into uint8, or uint16 for more than 8 bits."""
    if bits == 8:
        return rgb if rgb.dtype == np.uint8 else to_uint8(rgb)
    return np.rint(rgb.astype(np.float32) * 257).astype(np.uint16)
