# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Degrading whole clips of any length, frame by frame."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path

import cv2
import numpy as np

from ...errors import ConfigError, DataError
from ...io.clips import open_reader
from ...io.codec import encoder_options, protocol_options, recompress
from ...io.images import ImageReader, to_levels, to_uint8
from ...io.yuv import YuvReader
from ...utils.files import unfinished
from ..transforms import (
    AverageMotionBlur,
    BicubicDownsample,
    ClipDegradation,
    GaussianDownsample,
)
from ..transforms.compression import compress_frames
from .writing import write_folders

BLUR_FRAMES = 7
NAMES = "'bi', 'bd', 'x2', 'x4', 'blur', 'real', or 'qp' or 'crf' with a number such as 'qp37'"
# What 'real' adds: blur, in pixels of the degraded frame; noise, in levels; H.264's constant rate
# factor.
_SOFT, _NOISE, _REAL_CRF = 0.4, 2.0, 25


def check_name(degradation: str) -> str:
    """Refuse an unknown degradation.

    Args:
        degradation (str): 'bi' (bicubic), 'x2' or 'x4' (the same, for one scale), 'bd' (Gaussian
            blur and sampling), 'blur' (average of 7 frames in linear light), 'qp37' (x265,
            low-delay P, constant QP; 0 to 51), 'crf23' (bicubic where the scale is above 1, then
            H.264 as x264 makes it by default; 0 to 51) or 'real' (slightly soft, bicubic, slight
            noise of seed 0, then H.264 at CRF 25).

    Returns:
        str: The same name.

    Raises:
        ConfigError: It is none of these.
    """
    match = re.fullmatch(r'bi|bd|x2|x4|blur|real|(?:qp|crf)([0-9]+)', degradation)
    if match is None or (match[1] and int(match[1]) > 51):
        raise ConfigError(f'The degradation {degradation!r} is unknown; it is {NAMES} (up to 51).')
    return degradation


def check_scale(degradation: str, scale: int) -> None:
    """Refuse a degradation that does not go with a scale.

    Args:
        degradation (str): See :func:`check_name`.
        scale (int): Size of the ground truth over that of the degraded frames.

    Raises:
        ConfigError: They do not go together.
    """
    known = {'bi': '2 or 4', 'bd': '2 or 4', 'x2': '2', 'x4': '4', 'blur': '1'}
    scales = '1' if degradation.startswith('qp') else known.get(degradation, '1, 2 or 4')
    if str(scale) not in scales:
        raise ConfigError(
            f'{degradation} goes with networks at scale {scales}, but these restore at scale '
            f'{scale}'
        )


def degrade_frames(
    frames: Iterable[np.ndarray], degradation: str, scale: int = 4
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Degrade a clip as a stream.

    Args:
        frames (Iterable[np.ndarray]): Frames (h, w, 3), RGB, [0, 255].
        degradation (str): See :func:`check_name`.
        scale (int): Size of the frames over that of the degraded ones; 'blur' and 'qp' keep the
            size whatever it is. Defaults to 4.

    Yields:
        tuple[np.ndarray, np.ndarray]: A frame of ground truth (cropped to a multiple of the scale;
        for 'blur' the middle of the window) and its degraded frame.
    """
    if degradation == 'real':
        pairs = _soft_and_noisy(frames, scale)
    elif degradation.startswith('qp') or (degradation.startswith('crf') and scale == 1):
        pairs = ((frame, frame) for frame in frames)
    else:
        pairs = _in_windows(frames, degradation, scale)
    codec = _codec_of(degradation)
    if codec is None:
        yield from pairs
        return
    ours, theirs = tee(pairs)
    yield from zip(
        (truth for truth, _ in ours),
        compress_frames((degraded for _, degraded in theirs), *codec),
        strict=True,
    )


def _codec_of(degradation: str) -> tuple[str, dict[str, str]] | None:
    """Return the encoder of a degradation and its options, if it has one."""
    if degradation.startswith('qp'):
        return 'libx265', protocol_options('libx265', qp=int(degradation[2:]))
    if degradation == 'real' or degradation.startswith('crf'):
        crf = _REAL_CRF if degradation == 'real' else int(degradation[3:])
        return 'libx264', encoder_options('libx264', ('crf', crf), bframes=3)
    return None


def _in_windows(
    frames: Iterable[np.ndarray], degradation: str, scale: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Average, or shrink, by a transform that sees the frames of a window."""
    transform: ClipDegradation
    if degradation == 'blur':
        transform, length = AverageMotionBlur(BLUR_FRAMES), BLUR_FRAMES
    else:
        transform = (GaussianDownsample if degradation == 'bd' else BicubicDownsample)(scale)
        length = 1
    window: deque[np.ndarray] = deque(maxlen=length)
    for frame in frames:
        window.append(frame)
        if len(window) == length:
            results = transform.transform({'gt': list(window)})
            yield results['gt'][0], results['img'][0]


def _soft_and_noisy(
    frames: Iterable[np.ndarray], scale: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blur, shrink and add noise."""
    shrink, random = BicubicDownsample(scale), np.random.default_rng(0)
    for frame in frames:
        soft = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), _SOFT * scale)
        results = shrink.transform({'gt': [frame], 'img': [soft]})
        small = results['img'][0]
        yield results['gt'][0], to_uint8(small + random.normal(0, _NOISE, small.shape))


def make_degraded(base: Path, target: Path, degradation: str, root: Path) -> None:
    """Make the degraded version of a prepared clip, unless it is there.

    Args:
        base (Path): A folder of frames, or a raw YUV file (for 'qp' alone).
        target (Path): A folder of PNGs with the same names, or a raw YUV file, in ``root``.
        degradation (str): See :func:`check_name`.
        root (Path): The folder being prepared.
    """
    clip = open_reader(str(base))
    if isinstance(clip, YuvReader):
        if target.exists():
            return
        with unfinished(target, root) as work:
            _recompress_yuv(clip, work, int(degradation[2:]))
        return
    names = [Path(name).stem for name in clip.names] if isinstance(clip, ImageReader) else None
    pairs = degrade_frames((to_levels(frame.rgb) for frame in clip.iterate()), degradation)
    write_folders([target], ([degraded] for _, degraded in pairs), root, names, str(base))


def _recompress_yuv(clip: YuvReader, target: Path, qp: int) -> None:
    if clip.pix_fmt != 'yuv420p':
        raise DataError(f'{clip.path} is {clip.pix_fmt}; only yuv420p can be compressed here.')
    pictures = (clip.picture(index) for index in range(clip.num_frames))
    with target.open('wb') as file:
        for picture in recompress(pictures, 'libx265', protocol_options('libx265', qp=qp)):
            file.write(picture.to_ndarray(format='yuv420p').tobytes())
