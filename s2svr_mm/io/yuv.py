# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Raw YUV files: the planes of frame after frame; only a name says what they are."""

import hashlib
import os
import re
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from ..errors import DataError
from .color import color_of, planes_of, scaled, to_rgb
from .reader import Frame, Reader, VideoInfo

# Words in names -> FFmpeg's names.
_LAYOUTS = {'p010': 'p010le', 'p016': 'p016le', 'p210': 'p210le', 'yuy2': 'yuyv422'}
_LAYOUTS.update(uyvy='uyvy422', yuyv='yuyv422')
_LAYOUTS.update({name: name for name in ('nv12', 'nv21', 'nv16', 'yuyv422', 'uyvy422', 'yvyu422')})
# Planes in another order, or samples packed in a way that is no pixel format.
_REFUSED = frozenset(['yv12', 'yv16', 'v210', 'v216', 'y210', 'y410', 'rgb', 'bgr', 'gbrp'])
_REFUSED |= {'rgb24', 'bgr24', 'rgb48', 'rgba', 'bgra', 'argb', 'abgr', 'rgb48le', 'bgr48le'}
_CHROMAS = frozenset(['400', '420', '422', '444'])
_DEPTHS = 9, 10, 12, 14, 16


def yuv_frame_size(path: str, size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return width and height: as given, or from a name such as ``x_352x288_300.yuv``.

    Raises:
        DataError: The size is unknown.
    """
    if size is None:
        match = re.search(r'(?:^|[_.-])(\d+)x(\d+)(?=[_.pi-])', os.path.basename(path))
        if match is None:
            raise DataError(
                f'{path} does not state its frame size. Name it like walk_352x288_300.yuv or give '
                'yuv_size=(width, height), on the command line --yuv-size WxH.'
            )
        size = (int(match[1]), int(match[2]))
    if min(size) < 1:
        raise DataError(f'{path}: a frame of {size[0]}x{size[1]} has no pixels.')
    return size


def yuv_pix_fmt(path: str, size: tuple[int, int]) -> str:
    """Return the layout of a raw YUV file, by its name; planar 4:2:0 of 8 bits if that says none.

    ``10bit``, ``422``, ``yuv444p12le``, ``p010`` and the like are understood.

    Args:
        path: The file.
        size: (width, height).

    Returns:
        FFmpeg's name of the pixel format.

    Raises:
        DataError: The name states a layout that can't be read, or interlaced frames.
    """
    name = os.path.splitext(os.path.basename(path))[0].lower().replace('4:2:', '42')
    words = re.split(r'[^a-z0-9]+', name.replace('4:4:4', '444'))
    chroma, bits = '420', 8
    for place, word in enumerate(words):
        if re.fullmatch(r'(\d+x)?\d{3,4}i\d*|interlaced|[tb]ff', word):
            raise DataError(
                f'{path}: its name says that it is interlaced: each frame holds two fields. '
                'Make it progressive first.'
            )
        if word in _LAYOUTS:
            return _LAYOUTS[word]
        if word in _REFUSED or re.fullmatch(r'yuv4\d\dp\d+be', word):
            raise DataError(f'{path}: the layout {word} is not read. Convert it to yuv420p.')
        if match := re.fullmatch(r'(?:yuv|i|ycbcr)?(4[024][0-4])(?:p(\d+)?(?:le)?)?', word):
            is_count = word in _CHROMAS and place == len(words) - 1 and word != '400'
            if match[1] not in _CHROMAS or (is_count and _is_count(path, size, int(word))):
                continue
            chroma, bits = match[1], int(match[2] or bits)
        elif match := re.fullmatch(r'(\d+)(?:bits?|b|bpc|bpp)|p?(\d+)le', word):
            bits = int(match[1] or match[2])
    if bits != 8 and bits not in _DEPTHS:
        raise DataError(f'{path}: its name says {bits} bits, which is not read. Use 8, 10 or 16.')
    if chroma == '400':
        return 'gray' if bits == 8 else f'gray{bits}le'
    return f'yuv{chroma}p' if bits == 8 else f'yuv{chroma}p{bits}le'


def _is_count(path: str, size: tuple[int, int], count: int) -> bool:
    """Whether a number at a name's end counts frames of 8-bit 4:2:0, as is the custom."""
    return os.path.getsize(path) == count * size[0] * size[1] * 3 // 2


class YuvReader(Reader):
    """A raw YUV file.

    Args:
        path: The file.
        rate: Frames per second. Defaults to 25.
        size: (width, height). Defaults to None, which takes it from the name.

    Raises:
        DataError: The size or layout is unknown or odd, or the file's length is no multiple of
            its frame size.
    """

    def __init__(
        self, path: str, rate: Fraction = Fraction(25), size: tuple[int, int] | None = None
    ) -> None:
        self.path = path
        width, height = self.size = yuv_frame_size(path, size)
        self.rate = rate
        self.pix_fmt = yuv_pix_fmt(path, self.size)
        kind = av.VideoFormat(self.pix_fmt, width, height)
        halved = kind.chroma_width(2) == 1, kind.chroma_height(2) == 1
        if (halved[0] and width % 2) or (halved[1] and height % 2):
            raise DataError(
                f'{path}: {self.pix_fmt} needs an even width and height, got {width}x{height}.'
            )
        self._frame_bytes = height * width * kind.padded_bits_per_pixel // 8
        length = os.path.getsize(path)
        if length == 0 or length % self._frame_bytes:
            raise DataError(
                f'{path} holds {length} bytes, which is no multiple of the {self._frame_bytes} '
                f'bytes of a {width}x{height} frame of {self.pix_fmt}: it is cut off, or its size '
                'or layout is another.'
            )
        self._num_frames = length // self._frame_bytes

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return self._num_frames

    @property
    def info(self) -> VideoInfo:
        """Size, rate and colour."""
        width, height = self.size
        color = color_of(av.VideoFrame(width, height, self.pix_fmt))
        return VideoInfo(height, width, rate=self.rate, time_base=1 / self.rate, color=color)

    def files(self) -> list[str]:
        """Return the file."""
        return [self.path]

    def fingerprint(self, start: int = 0, stop: int | None = None) -> str:
        """Return a hash of the frames' bytes; see :class:`Reader`."""
        digest = hashlib.sha256(f'{self.size} {self.pix_fmt} {self.rate}'.encode())
        for index in range(self.num_frames)[start:stop]:
            digest.update(self._bytes(index))
        return digest.hexdigest()

    def picture(self, index: int) -> av.VideoFrame:
        """Return a frame as it lies in the file, without a time.

        Args:
            index: Its number.
        """
        if not 0 <= index < self.num_frames:
            raise DataError(f'{self.path} has {self.num_frames} frames; {index} was asked for.')
        decoder = av.CodecContext.create('rawvideo', 'r')
        (decoder.width, decoder.height), decoder.pix_fmt = self.size, self.pix_fmt
        (frame,) = decoder.decode(av.Packet(self._bytes(index)))
        frame.pts = None
        return frame

    def luma(self, index: int) -> np.ndarray:
        """Return a frame's luma as it lies in the file.

        Args:
            index: Its number.

        Returns:
            (h, w), uint8, or float32 in [0, 255] where it is deeper.
        """
        frame = self.picture(index)
        if len(frame.planes) == 1 and frame.format.components[1:]:
            frame = scaled(frame, 'yuv444p')  # samples of three kinds in a row
        depth = frame.format.components[0].bits
        luma = planes_of(frame, depth)[0]
        if self.pix_fmt in ('p010le', 'p210le'):
            depth = 16  # padded below
        return luma.copy() if depth == 8 else luma / np.float32(2 ** (depth - 8))

    def _bytes(self, index: int) -> bytes:
        with open(self.path, 'rb') as file:
            file.seek(index * self._frame_bytes)
            return file.read(self._frame_bytes)

    def _frames(self, start: int, stop: int, wanted: frozenset[int] | None) -> Iterator[Frame]:
        color = self.info.color
        for index in sorted(wanted or range(start, stop)):
            rgb = to_rgb(self.picture(index), color)
            yield Frame(rgb, index, index, 1, f'{index:08d}')
