# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Compression artefacts from the real codec."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import av
import cv2
import numpy as np
from mmagic.registry import TRANSFORMS

from ...errors import ConfigError
from ...io.codec import DECODERS, SMALLEST_SIDE, encoder_params, recompress
from ...io.color import BT601, ColorInfo, from_rgb, to_rgb
from ...io.images import to_uint8
from .degradation import ClipDegradation


@TRANSFORMS.register_module()
class CompressVideo(ClipDegradation):
    """Encode a clip with x265 or x264 and decode it again, in memory.

    The defaults follow MFQEv2's protocol (HEVC, low-delay P, constant QP) as nearly as x265 can:
    one intra frame, then P frames of the same QP. Frames go through 8-bit 4:2:0 (BT.601, limited
    range). Where a frame's side is odd or below 72 pixels, its last row or column is repeated for
    the encoder and cut off again. :func:`s2svr_mm.io.codec.encoder_params` gives the exact
    settings, for an ffmpeg command line too.

    Args:
        codec (str): 'libx265' or 'libx264'. Default: 'libx265'.
        qp (int | Sequence[int], optional): Constant quantisation parameter, one of them drawn for
            each clip. Default: None.
        crf (float | Sequence[float], optional): Constant rate factor instead. Default: None.
        bframes (int): B frames between two P frames. Default: 0.
    """

    def __init__(
        self,
        codec: str = 'libx265',
        qp: int | Sequence[int] | None = None,
        crf: float | Sequence[float] | None = None,
        bframes: int = 0,
    ) -> None:
        if codec not in DECODERS:
            raise ConfigError(f'codec is one of {sorted(DECODERS)}, got {codec!r}.')
        if (qp is None) == (crf is None):
            raise ConfigError(f'Give either qp or crf, got qp={qp} and crf={crf}.')
        self.codec = codec
        self.mode = 'crf' if qp is None else 'qp'
        values: Any = crf if qp is None else qp
        self.values = tuple(values) if isinstance(values, Sequence) else (values,)
        if not all(0 <= value <= 51 for value in self.values):
            raise ConfigError(f'{self.mode} lies in 0 to 51, got {values}.')
        self.bframes = bframes

    def degrade(self, frames: list[np.ndarray], results: dict) -> list[np.ndarray]:
        """Compress a clip; see the base class."""
        quality: dict[str, Any] = {self.mode: self.values[np.random.randint(len(self.values))]}
        params = encoder_params(self.codec, bframes=self.bframes, **quality)
        return list(compress_frames(frames, self.codec, params))

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(codec={self.codec!r}, {self.mode}={self.values}, '
            f'bframes={self.bframes})'
        )


def compress_frames(frames: Iterable[np.ndarray], codec: str, params: str) -> Iterator[np.ndarray]:
    """Encode RGB frames and decode them again, as a stream.

    Args:
        frames (Iterable[np.ndarray]): Frames (h, w, 3), RGB, [0, 255], of one size.
        codec (str): 'libx265' or 'libx264'.
        params (str): What :func:`s2svr_mm.io.codec.encoder_params` returned.

    Yields:
        np.ndarray: Frames (h, w, 3), uint8, as many as came in.
    """
    size: list[int] = []
    color = ColorInfo(matrix=BT601)

    def pictures() -> Iterator[av.VideoFrame]:
        for frame in frames:
            height, width = size[:] = frame.shape[:2]
            bottom = max(SMALLEST_SIDE - height, height % 2)
            right = max(SMALLEST_SIDE - width, width % 2)
            padded = cv2.copyMakeBorder(to_uint8(frame), 0, bottom, 0, right, cv2.BORDER_REPLICATE)
            yield from_rgb(padded, 'yuv420p', color)

    for picture in recompress(pictures(), codec, params):
        height, width = size
        yield np.ascontiguousarray(to_rgb(picture, color)[:height, :width])
