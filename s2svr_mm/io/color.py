# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Colour of decoded frames: what describes it, and the only conversions to and from RGB."""

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import Interpolation

# Codes of ITU-T H.273, as the streams carry them.
UNSPECIFIED = 2
BT709, BT601 = 1, 6
LIMITED_RANGE, FULL_RANGE = 1, 2
# H.273's code of the matrix -> swscale's.
_SWS_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
# swscale's defaults come out about a level too dark, with the chroma of 4:2:0 merely repeated.
_CONVERSION = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


@dataclass(frozen=True)
class MasteringDisplay:
    """The display that HDR footage was graded on (SMPTE ST 2086).

    Attributes:
        primaries: Chromaticity (x, y) of red, green and blue.
        white_point: Chromaticity (x, y) of white.
        min_luminance: cd/m2.
        max_luminance: cd/m2.
    """

    primaries: tuple[tuple[Fraction, Fraction], ...]
    white_point: tuple[Fraction, Fraction]
    min_luminance: Fraction
    max_luminance: Fraction


@dataclass(frozen=True)
class LightLevel:
    """How bright HDR footage is (CTA-861.3).

    Attributes:
        max_content: Brightest pixel, cd/m2.
        max_average: Brightest frame on average, cd/m2.
    """

    max_content: int
    max_average: int


@dataclass(frozen=True)
class ColorInfo:
    """Depth, chroma sampling and colour of a video's samples.

    Attributes:
        bits: 8, or 10 for anything deeper.
        chroma: '420', '422', '444' or 'gray'.
        matrix: Code of the colour matrix, H.273.
        color_range: 1 limited, 2 full.
        primaries: Code of the colour primaries, H.273; 2 is unspecified.
        transfer: Code of the transfer characteristics, H.273; 2 is unspecified.
        mastering_display: For HDR, None if it isn't stated.
        light_level: For HDR, None if it isn't stated.
    """

    bits: int = 8
    chroma: str = '420'
    matrix: int = BT709
    color_range: int = LIMITED_RANGE
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    mastering_display: MasteringDisplay | None = None
    light_level: LightLevel | None = None


def guess_matrix(height: int, width: int) -> int:
    """Return the colour matrix that players assume where none is stated.

    Args:
        height: Height of a frame.
        width: Width of a frame.

    Returns:
        BT.709 from 720 lines or 1280 columns on, BT.601 below; code of H.273.
    """
    return BT709 if height >= 720 or width >= 1280 else BT601


def color_of(frame: av.VideoFrame) -> ColorInfo:
    """Read a frame's colour from its metadata, as players take it.

    Args:
        frame: A decoded frame.

    Returns:
        What it states; where no matrix is stated, :func:`guess_matrix`; limited range unless full
        is stated.
    """
    kind = frame.format
    matrix = int(frame.colorspace)
    if kind.is_rgb or matrix not in _SWS_MATRIX:
        matrix = guess_matrix(frame.height, frame.width)
    full = kind.name.startswith('yuvj') or int(frame.color_range) == FULL_RANGE
    return ColorInfo(
        bits=8 if kind.has_palette or max(c.bits for c in kind.components) <= 8 else 10,
        chroma=_chroma_of(kind),
        matrix=matrix,
        color_range=FULL_RANGE if full and not kind.is_rgb else LIMITED_RANGE,
        primaries=int(frame.color_primaries) or UNSPECIFIED,
        transfer=int(frame.color_trc) or UNSPECIFIED,
    )


def _chroma_of(kind: av.VideoFormat) -> str:
    if kind.is_rgb or kind.has_palette:
        return '444'
    if sum(not c.is_alpha for c in kind.components) == 1:
        return 'gray'
    if kind.chroma_width(64) == 64:
        return '444' if kind.chroma_height(64) == 64 else '420'
    return '422' if kind.chroma_height(64) == 64 else '420'


def to_rgb(frame: av.VideoFrame, color: ColorInfo) -> np.ndarray:
    """Convert a decoded frame to RGB, accurately rounded and with bicubic chroma.

    Args:
        frame: A decoded frame.
        color: Its colour; the depth is that of the result.

    Returns:
        (h, w, 3), full range, uint8 for 8 bits and uint16 for more.
    """
    return frame.reformat(
        format='rgb24' if color.bits == 8 else 'rgb48le',
        src_colorspace=_SWS_MATRIX[color.matrix],
        src_color_range=color.color_range,
        dst_color_range=FULL_RANGE,
        interpolation=_CONVERSION,
    ).to_ndarray()


def from_rgb(rgb: np.ndarray, pix_fmt: str, color: ColorInfo) -> av.VideoFrame:
    """Convert RGB to a frame for an encoder, accurately rounded and with bicubic chroma.

    Args:
        rgb: (h, w, 3), full range, uint8 or uint16.
        pix_fmt: FFmpeg's name of the pixel format, such as 'yuv420p'.
        color: Its matrix and range to be.

    Returns:
        The frame, without a time.
    """
    frame = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(rgb), format='rgb24' if rgb.dtype == np.uint8 else 'rgb48le'
    )
    return frame.reformat(
        format=pix_fmt,
        src_color_range=FULL_RANGE,
        dst_colorspace=_SWS_MATRIX[color.matrix],
        dst_color_range=color.color_range,
        interpolation=_CONVERSION,
    )
