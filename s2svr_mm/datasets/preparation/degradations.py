# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Degrading whole clips of any length, frame by frame."""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path

import numpy as np

from ...errors import ConfigError, DataError
from ...io.clips import open_reader
from ...io.codec import protocol_options, recompress
from ...io.images import ImageReader, to_levels
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
NAMES = "'bi', 'bd', 'blur', or 'qp' with a number such as 'qp37'"


def check_name(degradation: str) -> str:
    """Refuse an unknown degradation.

    Args:
        degradation (str): 'bi' (bicubic), 'bd' (Gaussian blur and sampling), 'blur' (average of 7
            frames in linear light) or 'qp37' (x265, low-delay P, constant QP; 0 to 51).

    Returns:
        str: The same name.

    Raises:
        ConfigError: It is none of these.
    """
    match = re.fullmatch(r'bi|bd|blur|qp([0-9]+)', degradation)
    if match is None or (match[1] and int(match[1]) > 51):
        raise ConfigError(f'The degradation {degradation!r} is unknown; it is {NAMES} (up to 51).')
    return degradation


def degrade_frames(
    frames: Iterable[np.ndarray], degradation: str, scale: int = 4
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Degrade a clip as a stream.

    Args:
        frames (Iterable[np.ndarray]): Frames (h, w, 3), RGB, [0, 255].
        degradation (str): See :func:`check_name`.
        scale (int): For 'bi' and 'bd'. Default: 4.

    Yields:
        tuple[np.ndarray, np.ndarray]: A frame of ground truth (cropped to a multiple of the scale;
        for 'blur' the middle of the window) and its degraded frame.
    """
    if degradation.startswith('qp'):
        truth, frames = tee(frames)
        options = protocol_options('libx265', qp=int(degradation[2:]))
        yield from zip(truth, compress_frames(frames, 'libx265', options), strict=True)
        return
    transform: ClipDegradation
    if degradation == 'blur':
        transform, length = AverageMotionBlur(BLUR_FRAMES), BLUR_FRAMES
    else:
        kind = {'bi': BicubicDownsample, 'bd': GaussianDownsample}[degradation]
        transform, length = kind(scale), 1
    window: deque[np.ndarray] = deque(maxlen=length)
    for frame in frames:
        window.append(frame)
        if len(window) == window.maxlen:
            results = transform.transform({'gt': list(window)})
            yield results['gt'][0], results['img'][0]


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
