# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Colour of decoded frames: what describes it, and the only conversions to and from RGB."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation

# Codes of ITU-T H.273, as the streams carry them.
UNSPECIFIED = 2
BT709, BT601 = 1, 6
LIMITED_RANGE, FULL_RANGE = 1, 2
# H.273's code of the matrix -> weights of red and blue in luma.
_LUMA = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 6: (0.299, 0.114)}
_LUMA.update({7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)})
_YCGCO = 8
# Of swscale only the interpolation of chroma is used: its conversions are up to a level off, in 16
# bits, in full range, and by default everywhere.
_SCALING = (
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
        What it states. Where no matrix is stated, :func:`guess_matrix`; where no range, limited
        but for grey.
    """
    kind = frame.format
    chroma = _chroma_of(kind)
    matrix, stated = int(frame.colorspace), int(frame.color_range)
    if kind.is_rgb or not is_known(matrix):
        matrix = guess_matrix(frame.height, frame.width)
    full = kind.name.startswith('yuvj') or stated == FULL_RANGE
    full = full or (chroma == 'gray' and stated != LIMITED_RANGE)
    # PyAV's stubs take it for the mapping that it is too.
    sides: Any = frame.side_data
    data = {side.type.name: bytes(side) for side in sides}
    return ColorInfo(
        bits=8 if kind.has_palette or _depth(kind) <= 8 else 10,
        chroma=chroma,
        matrix=matrix,
        # RGB has no range of its own; what is made of it is limited.
        color_range=FULL_RANGE if full and not kind.is_rgb else LIMITED_RANGE,
        primaries=int(frame.color_primaries) or UNSPECIFIED,
        transfer=int(frame.color_trc) or UNSPECIFIED,
        mastering_display=_mastering_display(data.get('MASTERING_DISPLAY_METADATA')),
        light_level=_light_level(data.get('CONTENT_LIGHT_LEVEL')),
    )


def is_known(matrix: int) -> bool:
    """Whether frames of a colour matrix, by its code of H.273, can be converted."""
    return matrix in _LUMA or matrix == _YCGCO


def _depth(kind: av.VideoFormat) -> int:
    return max(component.bits for component in kind.components)


def _chroma_of(kind: av.VideoFormat) -> str:
    if kind.is_rgb or kind.has_palette:
        return '444'
    if sum(not component.is_alpha for component in kind.components) == 1:
        return 'gray'
    if kind.chroma_width(64) == 64:
        return '444' if kind.chroma_height(64) == 64 else '420'
    return '422' if kind.chroma_height(64) == 64 else '420'


def _mastering_display(data: bytes | None) -> MasteringDisplay | None:
    """Parse FFmpeg's AVMasteringDisplayMetadata: ten fractions and two flags."""
    if data is None or len(data) < 88:
        return None
    *numbers, has_primaries, has_luminance = struct.unpack('=22i', data[:88])
    pairs = [(numbers[i], numbers[i + 1]) for i in range(0, 20, 2)]
    if not (has_primaries and has_luminance) or not all(below for _, below in pairs):
        return None
    values = [Fraction(above, below) for above, below in pairs]
    points = [(values[i], values[i + 1]) for i in range(0, 8, 2)]
    return MasteringDisplay(tuple(points[:3]), points[3], values[8], values[9])


def _light_level(data: bytes | None) -> LightLevel | None:
    """Parse FFmpeg's AVContentLightMetadata."""
    return None if data is None or len(data) < 8 else LightLevel(*struct.unpack('=2I', data[:8]))


def _to_ycc(color: ColorInfo, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what turns RGB in [0, 1] into samples (ITU-T H.273, section 8.3).

    Args:
        color: Matrix and range.
        depth: Bits of a sample.

    Returns:
        A (3, 3) matrix to multiply by and a (3, ) vector to add.
    """
    if color.matrix == _YCGCO:
        weights = np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0, -0.5]])
    else:
        red, blue = _LUMA[color.matrix]
        luma = np.array([red, 1 - red - blue, blue])
        blueness = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
        redness = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
        weights = np.stack([luma, blueness, redness])
    unit = 2.0 ** (depth - 8)
    if color.color_range == FULL_RANGE:
        scale, offset = np.full(3, 2.0**depth - 1), np.array([0, 128, 128]) * unit
    else:
        scale, offset = np.array([219, 224, 224]) * unit, np.array([16, 128, 128]) * unit
    return weights * scale[:, None], offset


def _convert(samples: np.ndarray, matrix: np.ndarray, offset: np.ndarray, peak: int) -> np.ndarray:
    """Multiply pixels (h, w, 3) by a matrix, add a vector, round and clip to [0, peak]."""
    affine = np.column_stack([matrix, offset]).astype(np.float32)
    converted = cv2.transform(samples.astype(np.float32), affine)
    # cv2.add rounds and saturates in one pass; OpenCV's stubs know no scalars.
    zero: Any = 0
    rounded = cv2.add(converted, zero, dtype=cv2.CV_8U if peak <= 255 else cv2.CV_16U)
    return rounded if peak in (255, 65535) else np.minimum(rounded, peak)


def scaled(frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """Change how chroma is sampled and samples are laid out, but neither matrix nor range.

    Args:
        frame: A frame.
        pix_fmt: FFmpeg's name of the layout to be.

    Returns:
        The frame itself if it is laid out so.
    """
    if frame.format.name == pix_fmt:
        return frame
    # The same on both sides, so that nothing else is converted.
    same: dict[str, int] = dict(src_color_range=FULL_RANGE, dst_color_range=FULL_RANGE)
    same |= dict(src_colorspace=BT709, dst_colorspace=BT709)
    return frame.reformat(format=pix_fmt, interpolation=_SCALING, threads=1, **same)


def planes_of(frame: av.VideoFrame, depth: int) -> list[np.ndarray]:
    """Return the planes of a planar frame as writable arrays.

    Args:
        frame: The frame.
        depth: Bits of its samples.

    Returns:
        For each plane (h, w), uint8 for up to 8 bits and uint16 for more.
    """
    dtype = np.dtype(np.uint8 if depth <= 8 else '<u2')
    arrays = []
    # PyAV's stubs leave out that planes are buffers.
    planes: tuple[Any, ...] = frame.planes
    for plane in planes:
        rows = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // dtype.itemsize)
        arrays.append(rows[: plane.height, : plane.width])
    return arrays


def to_rgb(frame: av.VideoFrame, color: ColorInfo) -> np.ndarray:
    """Convert a decoded frame to RGB, exactly but for rounding, with bicubic chroma.

    Args:
        frame: A decoded frame of any pixel format.
        color: Its matrix and range; its depth is that of the result.

    Returns:
        (h, w, 3), full range, uint8 for 8 bits and uint16 for more.
    """
    kind = frame.format
    peak = 255 if color.bits == 8 else 65535
    depth = _planar_depth(kind)
    if depth is None:
        return frame.reformat(
            format='rgb24' if color.bits == 8 else 'rgb48le', threads=1
        ).to_ndarray()
    tail = 'p' if depth == 8 else f'p{depth}le'
    matrix: np.ndarray
    if kind.is_rgb:
        green, blue, red = planes_of(scaled(frame, f'gbr{tail}'), depth)
        samples, matrix, offset = cv2.merge([red, green, blue]), np.eye(3), np.zeros(3)
        matrix *= peak / (2**depth - 1)
        if depth == color.bits == 8:
            return samples
    elif _chroma_of(kind) == 'gray':
        (grey,) = planes_of(scaled(frame, 'gray' if depth == 8 else f'gray{depth}le'), depth)
        samples = cv2.merge([grey] * 3)
        ycc, start = _to_ycc(color, depth)
        matrix = np.eye(3) * peak / ycc[0].sum()
        offset = -matrix @ np.full(3, start[0])
    else:
        ycc, start = _to_ycc(color, depth)
        if kind.chroma_width(64) < 64:
            # What is interpolated lies between the samples, so it needs more bits.
            ycc, start = ycc * 2 ** (16 - depth), start * 2 ** (16 - depth)
            depth, tail = 16, 'p16le'
        samples = cv2.merge(planes_of(scaled(frame, f'yuv444{tail}'), depth))
        matrix = np.linalg.inv(ycc) * peak
        offset = -matrix @ start
    return _convert(samples, matrix, offset, peak)


def _planar_depth(kind: av.VideoFormat) -> int | None:
    """Bits of the planar format that holds a format's samples exactly; None for exotic ones."""
    if kind.has_palette or kind.name.startswith(('xyz', 'bayer')):
        return None
    depth = _depth(kind)
    return next((bits for bits in (8, 9, 10, 12, 14, 16) if bits >= depth), None)


def from_rgb(rgb: np.ndarray, pix_fmt: str, color: ColorInfo) -> av.VideoFrame:
    """Convert RGB to a frame for an encoder, exactly but for rounding, with bicubic chroma.

    Args:
        rgb: (h, w, 3), full range, uint8 or uint16.
        pix_fmt: FFmpeg's name of the pixel format, such as 'yuv420p'.
        color: Its matrix and range to be.

    Returns:
        The frame, without a time.
    """
    height, width = rgb.shape[:2]
    kind = av.VideoFormat(pix_fmt, width, height)
    peak = np.iinfo(rgb.dtype).max
    depth = _planar_depth(kind)
    if depth is None:
        name = 'rgb24' if peak == 255 else 'rgb48le'
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), name).reformat(
            format=pix_fmt, threads=1
        )
    highest, tail = 2**depth - 1, 'p' if depth == 8 else f'p{depth}le'
    if kind.is_rgb:
        planar = f'gbr{tail}'
        converted = _convert(rgb[..., [1, 2, 0]], np.eye(3) * highest / peak, np.zeros(3), highest)
    else:
        matrix, offset = _to_ycc(color, depth)
        converted = _convert(rgb, matrix / peak, offset, highest)
        planar = f'yuv444{tail}'
        if _chroma_of(kind) == 'gray':
            planar = 'gray' if depth == 8 else f'gray{depth}le'
    frame = av.VideoFrame(width, height, planar)
    for channel, plane in enumerate(planes_of(frame, depth)):
        plane[:] = converted[..., channel]
    frame = scaled(frame, pix_fmt)
    if not kind.is_rgb:
        frame.colorspace, frame.color_range = color.matrix, color.color_range
    return frame
