# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Compression artefacts from the real codec."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import av
import cv2
import numpy as np
from mmagic.registry import TRANSFORMS

from ...errors import ConfigError
from ...io.codec import (
    DECODERS,
    FRAME_RATE,
    SMALLEST_SIDE,
    encoder_options,
    protocol_options,
    recompress,
)
from ...io.color import BT601, ColorInfo, from_rgb, to_rgb
from ...io.images import to_uint8
from .degradation import ClipDegradation


@TRANSFORMS.register_module()
class CompressVideo(ClipDegradation):
    """Encode a clip with x265 or x264 and decode it again, in memory.

    The defaults follow MFQEv2's protocol (HEVC, low-delay P, constant QP) as nearly as x265 can:
    one intra frame, then P frames of the same QP. Frames go through 8-bit 4:2:0 (BT.601, limited
    range). Where a frame's side is odd or below 72 pixels, its last row or column is repeated for
    the encoder and cut off again. :func:`s2svr_mm.io.codec.protocol_options` gives the exact
    settings, for an ffmpeg command line too.

    Args:
        codec (str): 'libx265' or 'libx264'. Defaults to 'libx265'.
        qp (int | Sequence[int], optional): Constant quantisation parameter, one of them drawn for
            each clip. Defaults to None.
        crf (float | Sequence[float], optional): Constant rate factor instead. Defaults to None.
        bframes (int): B frames between two P frames. Defaults to 0.
    """

    def __init__(
        self,
        codec: str = 'libx265',
        qp: int | Sequence[int] | None = None,
        crf: float | Sequence[float] | None = None,
        bframes: int = 0,
    ) -> None:
        if codec not in ('libx264', 'libx265'):
            raise ConfigError(f"codec is 'libx265' or 'libx264', got {codec!r}.")
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
        options = protocol_options(self.codec, bframes=self.bframes, **quality)
        return list(compress_frames(frames, self.codec, options))

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(codec={self.codec!r}, {self.mode}={self.values}, '
            f'bframes={self.bframes})'
        )


@TRANSFORMS.register_module()
class RandomCompressVideo(ClipDegradation):
    """Send a clip through a video encoder whose settings are drawn at random, once for a clip.

    Where :class:`CompressVideo` follows the protocols of papers, this covers what phones, cameras
    and streams make: codec, preset, rate control, groups of pictures and B frames all vary. Frames
    go through 8-bit 4:2:0 in limited range, one thread an encoder, so that a seed gives the same
    frames on any machine.

    Args:
        codecs (Sequence[dict]): Each a ``codec`` ('libx264', 'libx265', 'libvpx-vp9' or 'mpeg4')
            with its ``weight`` among them (1 if left out); ranges, both ends included, of ``crf``,
            ``qp`` or ``bits`` (a pixel, drawn evenly by logarithm), of which each that is given is
            equally likely, and of ``keyint`` (default (12, 250)) and ``bframes`` (default (0, 3));
            and ``presets`` to draw from (default the encoder's own). See
            :func:`s2svr_mm.io.codec.encoder_options`.
        lead_in (int): Up to so many frames, the clip's own played backwards, are encoded in front
            of it and left out afterwards, so that a clip may start anywhere in a group of
            pictures. Defaults to 0.

    Raises:
        ConfigError: An entry is not as described.
    """

    _KEYS = frozenset({'codec', 'weight', 'presets', 'crf', 'qp', 'bits', 'keyint', 'bframes'})

    def __init__(self, codecs: Sequence[dict], lead_in: int = 0) -> None:
        if not codecs or lead_in < 0:
            raise ConfigError(f'Give codecs and a lead_in from 0, got {codecs} and {lead_in}.')
        for entry in codecs:
            if entry.get('codec') not in DECODERS or set(entry) - self._KEYS:
                raise ConfigError(
                    f'An entry of codecs has a codec of {sorted(DECODERS)} and keys of '
                    f'{sorted(self._KEYS)}, got {entry}.'
                )
            if not self._modes(entry):
                raise ConfigError(f"An entry of codecs has 'crf', 'qp' or 'bits', got {entry}.")
        self.codecs = [dict(entry) for entry in codecs]
        self.lead_in = lead_in

    def degrade(self, frames: list[np.ndarray], results: dict) -> list[np.ndarray]:
        """Compress a clip; see the base class."""
        weights = np.array([entry.get('weight', 1) for entry in self.codecs], float)
        entry = self.codecs[np.random.choice(len(weights), p=weights / weights.sum())]
        height, width = (max(side, SMALLEST_SIDE) for side in frames[0].shape[:2])
        options = self._draw(entry, height * width)
        lead = np.random.randint(min(self.lead_in, len(frames) - 1) + 1)
        whole = [*frames[lead:0:-1], *frames]
        return list(compress_frames(whole, entry['codec'], options))[lead:]

    def _draw(self, entry: dict, pixels: int) -> dict[str, str]:
        modes = self._modes(entry)
        mode = modes[np.random.randint(len(modes))]
        low, high = entry[mode]
        if mode == 'bits':
            bits = np.exp(np.random.uniform(np.log(low), np.log(high)))
            rate = 'bitrate', bits * pixels * FRAME_RATE
        else:
            rate = mode, float(np.random.randint(round(low), round(high) + 1))
        presets = entry.get('presets')
        return encoder_options(
            entry['codec'],
            rate,
            preset=presets and str(presets[np.random.randint(len(presets))]),
            keyint=_whole(entry.get('keyint', (12, 250))),
            bframes=_whole(entry.get('bframes', (0, 3))),
        )

    @staticmethod
    def _modes(entry: dict) -> list[str]:
        return [mode for mode in ('crf', 'qp', 'bits') if mode in entry]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(codecs={self.codecs}, lead_in={self.lead_in})'


def _whole(bounds: Sequence[int]) -> int:
    """Draw a whole number, both ends included."""
    return int(np.random.randint(bounds[0], bounds[1] + 1))


def compress_frames(
    frames: Iterable[np.ndarray], codec: str, options: Mapping[str, str]
) -> Iterator[np.ndarray]:
    """Encode RGB frames and decode them again, as a stream.

    Args:
        frames (Iterable[np.ndarray]): Frames (h, w, 3), RGB, [0, 255], of one size.
        codec (str): A key of ``s2svr_mm.io.codec.DECODERS``.
        options (Mapping[str, str]): See :func:`s2svr_mm.io.codec.recompress`.

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

    for picture in recompress(pictures(), codec, options):
        height, width = size
        yield np.ascontiguousarray(to_rgb(picture, color)[:height, :width])
