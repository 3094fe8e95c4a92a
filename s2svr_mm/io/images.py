# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Image files: one a frame, or all the pictures of an animated or paged one."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ..errors import DataError
from ..utils.manifest import marked_png
from .color import ColorInfo
from .orientation import Orientation, from_exif
from .reader import Frame, Reader, VideoInfo

EXIF_ORIENTATION = 274
_TIFF_SUBFILE = 254
_TIFF_HEADS = b'II*\0', b'MM\0*', b'II+\0', b'MM\0+'
# Milliseconds that an animation's frame is shown where the file says none.
_DEFAULT_DURATION = 100


def read_image(path: str) -> np.ndarray:
    """Read one image file as RGB.

    Grey images get three equal channels; an alpha channel is dropped if it is opaque everywhere
    and refused otherwise. The orientation that EXIF asks for is applied.

    Args:
        path: The image file.

    Returns:
        (h, w, 3), RGB in [0, 255]; see :func:`to_levels`.

    Raises:
        DataError: The file is missing, truncated, damaged, transparent, holds several pictures or
            is not an image.
    """
    return to_levels(read_pixels(path))


def read_pixels(path: str) -> np.ndarray:
    """Read one image file as RGB in its own depth; see :func:`read_image`.

    Args:
        path: The image file.

    Returns:
        (h, w, 3), uint8 or uint16, full range.
    """
    data = _content(path)
    if (count := len(_pages(data))) > 1:
        raise DataError(
            f'{path} holds {count} pictures, so it is a clip by itself, not a frame. Give it alone '
            'or extract its frames.'
        )
    if data[:4] == b'GIF8':
        return next(AnimationReader(path).iterate()).rgb
    # cv2 turns colours into RGB in a JPEG only when asked for colour, and applies EXIF with it.
    is_jpeg = data[:2] == b'\xff\xd8'
    flag = cv2.IMREAD_COLOR if is_jpeg else cv2.IMREAD_UNCHANGED
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data else None
    if image is None:
        raise DataError(
            f'The frame {path} ({len(data)} bytes) is truncated, damaged or not an image. '
            'Copy or extract it again.'
        )
    return _exif_orientation(data).apply(_to_rgb(image, path))


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f'Cannot read the frame {path}: {error.strerror}.') from error


def _exif_orientation(data: bytes) -> Orientation:
    """Return what EXIF asks for where cv2 does not look: it does in JPEG and TIFF."""
    has_exif = (data[:4] == b'\x89PNG' and b'eXIf' in data) or (
        data[8:12] == b'WEBP' and b'EXIF' in data
    )
    if not has_exif:
        return Orientation()
    try:
        with Image.open(io.BytesIO(data)) as image:
            return from_exif(image.getexif().get(EXIF_ORIENTATION, 1))
    except (OSError, ValueError, SyntaxError):
        return Orientation()


def _to_rgb(image: np.ndarray, path: str) -> np.ndarray:
    """Turn what cv2 decodes (grey, BGR, either with alpha) into RGB."""
    if image.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f'The frame {path} holds {image.dtype} pixels; convert it to an 8-bit or 16-bit PNG.'
        )
    if image.ndim == 2:
        image = image[:, :, None]
    if image.shape[2] in (2, 4):
        _check_alpha(image[:, :, -1], path)
        image = image[:, :, :-1]
    if image.shape[2] == 1:
        return np.repeat(image, 3, axis=2)
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB)


def _check_alpha(alpha: np.ndarray, path: str) -> None:
    if alpha.min() < np.iinfo(alpha.dtype).max:
        raise DataError(
            f'The frame {path} is partly transparent, so its colours are not defined. '
            'Flatten it onto a background.'
        )


def _pages(data: bytes) -> list[int]:
    """List the pictures of a file that belong to a clip; a still has one."""
    animated = (
        data[:4] == b'GIF8'
        or (data[:4] == b'\x89PNG' and 0 < data.find(b'acTL') < data.find(b'IDAT'))
        or (data[8:12] == b'WEBP' and b'ANMF' in data)
    )
    paged = data[:4] in _TIFF_HEADS
    if not animated and not paged:
        return [0]
    try:
        with Image.open(io.BytesIO(data)) as image:
            pages = list(range(getattr(image, 'n_frames', 1)))
            if animated:
                # The picture that other viewers show need not belong to the animation.
                return pages[1:] if getattr(image, 'default_image', False) else pages
            return [page for page in pages if not _is_thumbnail(image, page)] or [0]
    except (OSError, ValueError, SyntaxError, EOFError):
        return [0]


def _is_thumbnail(image: Image.Image, page: int) -> bool:
    """Whether a page of a TIFF is a smaller version or a mask of another."""
    image.seek(page)
    return bool(image.tag_v2.get(_TIFF_SUBFILE, 0) & 0b101)  # type: ignore[attr-defined]


def count_pictures(path: str) -> int:
    """Count the pictures of an image file: 1 unless it is animated or has pages."""
    return len(_pages(_content(path)))


def encode_png(frame: np.ndarray) -> bytes:
    """Encode an RGB frame as a PNG.

    Args:
        frame (np.ndarray): (h, w, 3), RGB: uint16 becomes a PNG of 16 bits, anything else is
            rounded from [0, 255] to 8 bits.

    Returns:
        bytes: Content of the file, marked as made by this package.
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


def to_levels(rgb: np.ndarray) -> np.ndarray:
    """Scale a frame to [0, 255], as data sets have it.

    Args:
        rgb: (h, w, 3), uint8 or uint16, full range.

    Returns:
        uint8 as it is; uint16 as float32, ``value / 257``, so that nothing is rounded away.
    """
    return rgb if rgb.dtype == np.uint8 else (rgb / np.float32(257)).astype(np.float32)


def _with_bits(rgb: np.ndarray, bits: int) -> np.ndarray:
    """Bring a frame to uint8, or to uint16 for more than 8 bits."""
    if bits == 8:
        return rgb if rgb.dtype == np.uint8 else to_uint8(to_levels(rgb))
    return rgb if rgb.dtype == np.uint16 else rgb.astype(np.uint16) * np.uint16(257)


class ImageReader(Reader):
    """Image files, one a frame.

    Args:
        path: What was given: a folder, a pattern or a file.
        names: The files in order, relative to ``folder``.
        folder: Where they lie. Defaults to ''.
        rate: Frames per second. Defaults to 25.
    """

    def __init__(
        self, path: str, names: Sequence[str], folder: str = '', rate: Fraction = Fraction(25)
    ) -> None:
        self.path = path
        self.names = tuple(names)
        self.folder = folder
        self.rate = rate

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self.names)

    @cached_property
    def info(self) -> VideoInfo:
        """Size, rate and colour of the first frame."""
        first = read_pixels(self.file(0))
        return VideoInfo(
            height=first.shape[0],
            width=first.shape[1],
            rate=self.rate,
            time_base=1 / self.rate,
            color=ColorInfo(bits=8 if first.dtype == np.uint8 else 10),
        )

    @cached_property
    def _stems(self) -> list[str]:
        stems = [os.path.splitext(os.path.basename(name))[0] for name in self.names]
        # Images of several folders may share names.
        return stems if len(set(stems)) == len(stems) else [f'{i:08d}' for i in range(len(stems))]

    def file(self, index: int) -> str:
        """Return the file of a frame."""
        return os.path.join(self.folder, self.names[index])

    def files(self) -> list[str]:
        """Return the image files."""
        return [self.file(index) for index in range(len(self.names))]

    def place(self, index: int) -> str:
        """Name a frame for a message."""
        return f'{self.file(index)} (frame {index})'

    def fingerprint(self, start: int = 0, stop: int | None = None) -> str:
        """Return a hash of the files' names and content; see :class:`Reader`."""
        digest = hashlib.sha256(f'{self.rate}'.encode())
        for index in range(len(self.names))[start:stop]:
            digest.update(os.fsencode(self._stems[index]))
            digest.update(hashlib.sha256(_content(self.file(index))).digest())
        return digest.hexdigest()

    def _frames(self, start: int, stop: int, wanted: frozenset[int] | None) -> Iterator[Frame]:
        for index in sorted(wanted or range(start, stop)):
            rgb = _with_bits(read_pixels(self.file(index)), self.info.color.bits)
            yield Frame(rgb, index, index, 1, self._stems[index])


class AnimationReader(Reader):
    """The pictures of one file: animated WebP, PNG or GIF, or a TIFF of many pages.

    Args:
        path: The file.
        rate: Frames per second of a TIFF; the others have times of their own. Defaults to 25.

    Raises:
        DataError: The file is damaged or not an image.
    """

    def __init__(self, path: str, rate: Fraction = Fraction(25)) -> None:
        self.path = path
        data = _content(path)
        self._is_tiff = data[:4] in _TIFF_HEADS
        self._pages = _pages(data)
        if self._is_tiff:
            self._base, self._durations = 1 / rate, [1] * len(self._pages)
        else:
            self._base, self._durations = Fraction(1, 1000), self._stated_durations(data)

    def _stated_durations(self, data: bytes) -> list[int]:
        durations = []
        try:
            with Image.open(io.BytesIO(data)) as image:
                for page in self._pages:
                    image.seek(page)
                    image.load()  # Of a WebP, only this tells the time.
                    durations.append(round(image.info.get('duration', 0)) or _DEFAULT_DURATION)
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise self._damaged(len(durations)) from error
        return durations

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return len(self._pages)

    @cached_property
    def info(self) -> VideoInfo:
        """Size, rate and colour of the first frame."""
        first = next(self._pictures([0]))
        return VideoInfo(
            height=first.shape[0],
            width=first.shape[1],
            rate=len(self._durations) / (sum(self._durations) * self._base),
            time_base=self._base,
            color=ColorInfo(bits=8 if first.dtype == np.uint8 else 10, chroma='444'),
        )

    @property
    def times(self) -> list[int]:
        """When each frame is shown, in ticks."""
        return [sum(self._durations[:index]) for index in range(self.num_frames)]

    def files(self) -> list[str]:
        """Return the file."""
        return [self.path]

    def fingerprint(self, start: int = 0, stop: int | None = None) -> str:
        """Return a hash of the file's content; see :class:`Reader`."""
        span = f'{range(self.num_frames)[start:stop]} {self._base}'
        return hashlib.sha256(span.encode() + _content(self.path)).hexdigest()

    def _frames(self, start: int, stop: int, wanted: frozenset[int] | None) -> Iterator[Frame]:
        indices = sorted(wanted or range(start, stop))
        for index, picture in zip(indices, self._pictures(indices), strict=True):
            rgb, duration = _with_bits(picture, self.info.color.bits), self._durations[index]
            yield Frame(rgb, index, sum(self._durations[:index]), duration, f'{index:08d}')

    def _pictures(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        data = _content(self.path)
        if not self._is_tiff:
            yield from self._animation(data, indices)
            return
        for index in indices:
            page = self._pages[index]
            _, images = cv2.imdecodemulti(
                np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED, range=(page, page + 1)
            )
            if not images:
                raise self._damaged(index)
            yield _to_rgb(images[0], self.path)

    def _animation(self, data: bytes, indices: Sequence[int]) -> Iterator[np.ndarray]:
        index = 0
        try:
            with Image.open(io.BytesIO(data)) as image:
                orientation = _exif_orientation(data)
                for index in indices:
                    image.seek(self._pages[index])
                    rgba = np.asarray(image.convert('RGBA'))
                    _check_alpha(rgba[..., 3], self.place(index))
                    yield orientation.apply(rgba[..., :3])
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            if isinstance(error, DataError):
                raise
            raise self._damaged(index) from error

    def _damaged(self, index: int) -> DataError:
        return DataError(f'{self.place(index)} is truncated or damaged. Copy the file again.')
