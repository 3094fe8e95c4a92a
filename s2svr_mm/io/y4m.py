# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""YUV4MPEG2 (y4m): raw frames in a pipe, after a header line that describes them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import BinaryIO

import av
import numpy as np

from ..errors import DataError
from .color import FULL_RANGE, color_of, from_rgb, guess_matrix, planes_of, to_rgb
from .reader import Frame, VideoInfo

_MAGIC = b'YUV4MPEG2'
_LONGEST_LINE = 1024
_ADVICE = 'send it y4m, such as ffmpeg -i in.mp4 -f yuv4mpegpipe - | s2svr restore - -'
# Names of y4m -> FFmpeg's; the siting of chroma is ignored, as it is in files.
_PIX_FMTS = {
    **dict.fromkeys(['420', '420jpeg', '420mpeg2', '420paldv'], 'yuv420p'),
    **{'422': 'yuv422p', '444': 'yuv444p', '411': 'yuv411p', 'mono': 'gray'},
}
_PIX_FMTS |= {
    f'{chroma}p{bits}': f'yuv{chroma}p{bits}le'
    for chroma in ('420', '422', '444')
    for bits in (9, 10, 12, 14, 16)
}
_PIX_FMTS |= {f'mono{bits}': f'gray{bits}le' for bits in (9, 10, 12, 16)}
_NAMES = {'yuv420p': '420jpeg', 'yuv422p': '422', 'yuv444p': '444', 'gray': 'mono'}
_NAMES |= {f'yuv{chroma}p10le': f'{chroma}p10' for chroma in ('420', '422', '444')}
_NAMES['gray10le'] = 'mono10'


class Y4MReader:
    """Frames of a y4m stream, in a row and once.

    Args:
        file (BinaryIO): The stream; no more of it is read than the frames asked for.
        name (str): What messages call it. Defaults to 'standard input'.

    Attributes:
        info (VideoInfo): Size, rate and colour. The stream states no colour matrix:
            :func:`.guess_matrix`.

    Raises:
        DataError: It is no y4m stream, or of a kind that can't be read.
    """

    def __init__(self, file: BinaryIO, name: str = 'standard input') -> None:
        self._file, self.name = file, name
        line = file.readline(_LONGEST_LINE)
        if not line:
            raise DataError(f'{name} is empty: {_ADVICE}')
        if not line.startswith(_MAGIC) or not line.endswith(b'\n'):
            raise DataError(f'{name} is not y4m, which begins with YUV4MPEG2: {_ADVICE}')
        words = line.decode('ascii', 'replace').split()[1:]
        self._params = {word[0]: word[1:] for word in reversed(words) if word[0] != 'X'}
        full = 'XCOLORRANGE=FULL' in words
        size = self._size()
        self._pix_fmt = self._layout()
        self._frame_bytes = _frame_bytes(size, self._pix_fmt)
        blank = av.VideoFrame(*size, self._pix_fmt)
        color = color_of(blank)
        rate = self._fraction('F', Fraction(25))
        self.info = VideoInfo(
            size[1],
            size[0],
            pixel_aspect=self._fraction('A', Fraction(1)),
            rate=rate,
            time_base=1 / rate,
            color=replace(color, color_range=FULL_RANGE) if full else color,
        )

    def _size(self) -> tuple[int, int]:
        width, height = (self._params.get(letter, '') for letter in 'WH')
        sizes = [int(n) for n in (width, height) if re.fullmatch('[1-9][0-9]{0,4}', n)]
        if len(sizes) < 2:
            raise DataError(f'{self.name} states no frame size: W{width} H{height}')
        return sizes[0], sizes[1]

    def _layout(self) -> str:
        if self._params.get('I', '?')[:1] not in ('p', '?', ''):
            raise DataError(
                f'{self.name} is interlaced: each frame holds two fields. Make it progressive '
                'first: ffmpeg -i in.mp4 -vf bwdif=deint=interlaced -f yuv4mpegpipe -'
            )
        kind = self._params.get('C', '420jpeg')
        if kind not in _PIX_FMTS:
            raise DataError(
                f'{self.name} holds frames of the kind C{kind}, which is not read: send '
                'ffmpeg -i in.mp4 -pix_fmt yuv420p -f yuv4mpegpipe - (or yuv420p10 -strict -1)'
            )
        return _PIX_FMTS[kind]

    def _fraction(self, letter: str, default: Fraction) -> Fraction:
        match = re.fullmatch('([0-9]{1,9}):([0-9]{1,9})', self._params.get(letter, ''))
        # 0:0 stands for unknown.
        return (
            Fraction(int(match[1]), int(match[2]))
            if match and int(match[1]) and int(match[2])
            else default
        )

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while line := self._file.readline(_LONGEST_LINE):
            if not line.endswith(b'\n') and line.startswith(b'FRAME'[: len(line)]):
                raise self._cut_off(index)
            if not re.match(rb'FRAME[ \n]', line):
                raise DataError(
                    f'{self.name}: frame {index} does not begin with FRAME: the stream is damaged'
                )
            data = self._file.read(self._frame_bytes)
            if len(data) < self._frame_bytes:
                raise self._cut_off(index)
            yield Frame(self._to_rgb(data), index, index, 1, f'{index:08d}')
            index += 1

    def _cut_off(self, index: int) -> DataError:
        return DataError(
            f'{self.name} is cut off in frame {index}: the program that sends it has failed, or '
            'the stream is incomplete'
        )

    def _to_rgb(self, data: bytes) -> np.ndarray:
        decoder = av.CodecContext.create('rawvideo', 'r')
        decoder.width, decoder.height = self.info.width, self.info.height
        decoder.pix_fmt = self._pix_fmt
        (picture,) = decoder.decode(av.Packet(data))
        return to_rgb(picture, self.info.color)


def _frame_bytes(size: tuple[int, int], pix_fmt: str) -> int:
    kind = av.VideoFormat(pix_fmt, *size)
    samples = sum(component.width * component.height for component in kind.components)
    return samples * (1 if kind.components[0].bits <= 8 else 2)


class Y4MWriter:
    """Write frames as a y4m stream.

    Args:
        file (BinaryIO): Where to.
        info (VideoInfo): Size, rate and colour of the frames. As nothing in the stream states a
            colour matrix, they get that which players take for their size.
        pix_fmt (str, optional): Pixel format. Defaults to None, that of ``info``.

    Attributes:
        pix_fmt (str): The pixel format.

    Raises:
        DataError: Frames of the pixel format are not written.
    """

    def __init__(self, file: BinaryIO, info: VideoInfo, pix_fmt: str | None = None) -> None:
        chroma, bits = info.color.chroma, info.color.bits
        if pix_fmt is None:
            pix_fmt = 'gray' if chroma == 'gray' else f'yuv{chroma}p'
            pix_fmt += '' if bits == 8 else '10le'
        if pix_fmt not in _NAMES:
            raise DataError(f'y4m is written as {", ".join(_NAMES)}, but got {pix_fmt!r}')
        self._file, self.pix_fmt = file, pix_fmt
        self._color = replace(info.color, matrix=guess_matrix(info.height, info.width))
        full = info.color.color_range == FULL_RANGE
        aspect = info.pixel_aspect
        words = [
            _MAGIC.decode(),
            f'W{info.width} H{info.height} F{info.rate.numerator}:{info.rate.denominator} Ip',
            f'A{aspect.numerator}:{aspect.denominator} C{_NAMES[pix_fmt]}',
            f'XCOLORRANGE={"FULL" if full else "LIMITED"}',
        ]
        file.write(' '.join(words).encode() + b'\n')

    def write(self, rgb: np.ndarray) -> None:
        """Write a frame.

        Args:
            rgb (np.ndarray): (h, w, 3), uint8 or uint16.
        """
        picture = from_rgb(rgb, self.pix_fmt, self._color)
        self._file.write(b'FRAME\n')
        for plane in planes_of(picture, picture.format.components[0].bits):
            self._file.write(plane.tobytes())
        self._file.flush()
