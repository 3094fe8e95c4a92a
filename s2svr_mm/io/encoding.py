# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""From frames to packets, segment by segment.

Every segment is encoded by itself and starts with a keyframe, so that segments made by different
runs join into the same file as those of one run.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np

from ..errors import EncodingError, did_you_mean
from .color import from_rgb
from .reader import VideoInfo

# x265 corrupts memory where a frame is smaller than its 64x64 coding tree unit.
_X265_SMALLEST = 64
# The same on every machine, so that the bytes are.
_ENCODER_THREADS = 4
_GLOBAL_HEADER = 1 << 22
# Of each packet in a segment's file: when it is shown, whether it is a keyframe, its length.
RECORD = struct.Struct('<qBI')
_CRF = {'libx264': 17, 'libx265': 19, 'libsvtav1': 24, 'libvpx-vp9': 24}


@dataclass(frozen=True)
class EncoderSettings:
    """How frames become packets.

    Attributes:
        codec (str): Name of the encoder.
        pix_fmt (str): Pixel format of the video.
        info (VideoInfo): Size, rate and colour of the video.
        options (dict[str, str]): Options of the encoder.
    """

    codec: str
    pix_fmt: str
    info: VideoInfo
    options: dict[str, str] = field(default_factory=dict)


def choose_encoder(
    info: VideoInfo,
    suffix: str,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
) -> EncoderSettings:
    """Choose what is not given by the container and the source.

    H.264 for 8 bits and HEVC for 10 (AV1 in WebM), with the source's chroma sampling; 4:4:4 where
    an odd size leaves no choice.

    Args:
        info (VideoInfo): Size, rate and colour of the video.
        suffix (str): Ending of the file, such as '.mp4'.
        codec (str, optional): Name of an encoder.
        crf (float, optional): Quality for encoders that have it, lower is better.
        preset (str, optional): Speed for encoders that have it.
        pix_fmt (str, optional): Pixel format.

    Returns:
        EncoderSettings: The choice.

    Raises:
        EncodingError: There is no such encoder, or it does not take the pixel format.
    """
    small = min(info.height, info.width) < _X265_SMALLEST
    if codec is None:
        codec = 'libx264' if info.color.bits == 8 or small else 'libx265'
        codec = 'libsvtav1' if suffix == '.webm' else codec
        if suffix == '.webm' and (small or info.color.chroma == '444'):
            codec = 'libvpx-vp9'
    elif codec == 'libx265' and small:
        raise EncodingError(
            f'libx265 needs frames of at least {_X265_SMALLEST} pixels a side, these are '
            f'{info.width}x{info.height}: take --codec libx264'
        )
    known = _video_encoders()
    if codec not in known:
        raise EncodingError(
            f'there is no video encoder {codec!r} here.{did_you_mean(codec, known)}'
        )
    formats = [f.name for f in av.codec.Codec(codec, 'w').video_formats or []]
    if pix_fmt is None:
        pix_fmt = _pixel_format(info, formats)
    elif formats and pix_fmt not in formats:
        raise EncodingError(f'{codec} does not take {pix_fmt!r}, but {", ".join(formats)}')
    chroma = av.VideoFormat(pix_fmt, 64, 64)
    if (info.width % 2 and chroma.chroma_width(64) < 64) or (
        info.height % 2 and chroma.chroma_height(64) < 64
    ):
        raise EncodingError(
            f'{pix_fmt} needs an even size, this is {info.width}x{info.height}: take a --pix-fmt '
            'of 4:4:4 and a --codec that has it, such as libx264'
        )
    options = {}
    if crf is not None or codec in _CRF:
        options['crf'] = f'{_CRF.get(codec) if crf is None else crf:g}'
    if codec == 'libvpx-vp9':
        options.update({'b': '0', 'row-mt': '1', 'cpu-used': '2'})
    if preset:
        options['preset'] = preset
    if codec == 'libx265':
        options['x265-params'] = 'log-level=error:pools=2'
    return EncoderSettings(codec, pix_fmt, info, options)


def _video_encoders() -> list[str]:
    names = []
    for name in av.codecs_available:
        try:
            if av.codec.Codec(name, 'w').type == 'video':
                names.append(name)
        except av.codec.codec.UnknownCodecError:
            continue
    return sorted(names)


def _pixel_format(info: VideoInfo, formats: Sequence[str]) -> str:
    """The source's sampling and depth if the encoder has it, else the nearest richer one."""
    chromas = ['420', '422', '444']
    first = 0 if info.color.chroma == 'gray' else chromas.index(info.color.chroma)
    # Half the chroma of an odd size does not exist.
    first = 2 if info.width % 2 or (info.height % 2 and first == 0) else first
    wanted = ['gray'] if info.color.chroma == 'gray' else []
    wanted += [f'yuv{chroma}p' for chroma in chromas[first:]]
    deep = [f'{name}10le' for name in wanted] if info.color.bits > 8 else []
    if not formats:
        return [*deep, *wanted][0]
    for name in [*deep, *wanted]:
        if name in formats:
            return name
    odd = ' of this odd size' if first == 2 and info.color.chroma != '444' else ''
    raise EncodingError(
        f'this encoder takes {", ".join(formats)}, but the frames{odd} need {wanted[0]}: take '
        'another --codec, such as libx264'
    )


def configure(context: av.CodecContext, settings: EncoderSettings) -> None:
    """Prepare an encoder, before it is opened."""
    info = settings.info
    context.width, context.height, context.pix_fmt = info.width, info.height, settings.pix_fmt
    context.time_base = info.time_base
    context.framerate = info.rate
    context.sample_aspect_ratio = info.pixel_aspect
    context.color_range, context.colorspace = info.color.color_range, info.color.matrix
    context.color_primaries, context.color_trc = info.color.primaries, info.color.transfer
    context.options = settings.options
    context.thread_count = _ENCODER_THREADS
    context.flags |= _GLOBAL_HEADER


class SegmentEncoder:
    """Encodes one segment into a file of packets that appears when it is whole.

    Args:
        path (Path): The file.
        settings (EncoderSettings): How to encode.
    """

    def __init__(self, path: Path, settings: EncoderSettings) -> None:
        self.path = path
        self.settings = settings
        self._context = av.CodecContext.create(settings.codec, 'w')
        configure(self._context, settings)
        self._part = path.with_suffix('.part')
        self._file = open(self._part, 'wb')  # noqa: SIM115 (closed in finish and abandon)

    def write(self, rgb: np.ndarray, time: int) -> None:
        """Encode a frame.

        Args:
            rgb (np.ndarray): (h, w, 3), uint8 or uint16.
            time (int): When it is shown, in ticks.
        """
        info = self.settings.info
        frame = from_rgb(rgb, self.settings.pix_fmt, info.color)
        frame.pts, frame.time_base = time, info.time_base
        self._write_packets(self._encode(frame))

    def _encode(self, frame: av.VideoFrame | None) -> list[av.Packet]:
        try:
            return self._context.encode(frame)
        except (av.error.FFmpegError, ValueError) as error:
            raise encoding_error(self.settings, error) from error

    def _write_packets(self, packets: Sequence[av.Packet]) -> None:
        for packet in packets:
            data = bytes(packet)
            self._file.write(RECORD.pack(packet.pts, packet.is_keyframe, len(data)))
            self._file.write(data)

    def finish(self) -> None:
        """Write what the encoder still holds; the file gets its name."""
        self._write_packets(self._encode(None))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self.path)

    def abandon(self) -> None:
        """Remove what was written."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def encoding_error(settings: EncoderSettings, error: Exception) -> EncodingError:
    """Say what an encoder did not take."""
    info = settings.info
    return EncodingError(
        f'{settings.codec} can not encode {info.width}x{info.height} {settings.pix_fmt} with '
        f'{settings.options}: {error}. Take another --codec, --pix-fmt or --preset, or write a '
        'folder of frames'
    )
