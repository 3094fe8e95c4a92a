# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Choosing an encoder and its settings."""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import av

from ..errors import EncodingError, did_you_mean
from .codec import X265_SMALLEST_SIDE, join_params, x264_params
from .color import FULL_RANGE
from .containers import container_of
from .hdr import hdr_options
from .reader import VideoInfo

# SVT-AV1 refuses smaller frames, and more frames per second.
_SVTAV1_SMALLEST = 64
_SVTAV1_FASTEST = 240
# Where times before 0 are not known, packets in another order would delay slower videos by seconds.
_SLOWEST_REORDERED = 8
# The same on every machine, so that the bytes are.
_ENCODER_THREADS = 4
# FFmpeg's flags for headers outside of the packets: of an encoder, and of a container.
_GLOBAL_HEADER, _CONTAINER_GLOBAL_HEADER = 1 << 22, 0x40
# FFmpeg's FF_QP2LAMBDA.
_QP_TO_LAMBDA = 118
_HIGHEST_CRF = {'libx264': 51, 'libx265': 51}
_CRF = {'libx264': 17, 'libx265': 19, 'libsvtav1': 24, 'libvpx-vp9': 24, 'libvpx': 8}
# Encoders that make 200 kbit/s of anything unless they are given a quantiser.
_QUANTISED = {
    *('mpeg1video', 'mpeg2video', 'mpeg4', 'msmpeg4', 'msmpeg4v2', 'wmv1', 'wmv2', 'flv'),
    *('h263', 'h263p', 'mjpeg'),
}
_QUANTISER = 2
_OPTIONS = {
    'libvpx-vp9': {'b': '0', 'row-mt': '1', 'cpu-used': '2'},
    # A packet for each frame; the rate is but an upper limit.
    'libvpx': {'b': '100M', 'auto-alt-ref': '0', 'cpu-used': '2'},
    'libx265': {'x265-params': 'log-level=error:pools=2'},
}
# What people call the codecs, where FFmpeg does not.
_OTHER_NAMES = {'h265': 'hevc', 'x265': 'hevc', 'x264': 'h264', 'avc': 'h264', 'h.264': 'h264'}
_OTHER_NAMES |= {'h.265': 'hevc', 'mpeg2': 'mpeg2video', 'prores': 'prores_ks', 'av01': 'av1'}


@dataclass(frozen=True)
class EncoderSettings:
    """How frames become packets.

    Attributes:
        codec (str): Name of the encoder.
        pix_fmt (str): Pixel format of the video.
        info (VideoInfo): Size, rate and colour of the video.
        options (Mapping[str, str]): Options of the encoder.
        global_header (bool): Whether headers go into the container and not into the packets.
        reorder (bool): Whether packets may be in another order than frames.
        left_out (tuple[str, ...]): What is known of the frames and can't be written down.
    """

    codec: str
    pix_fmt: str
    info: VideoInfo
    options: Mapping[str, str] = field(default_factory=dict)
    global_header: bool = True
    reorder: bool = True
    left_out: tuple[str, ...] = ()


def choose_encoder(
    info: VideoInfo,
    suffix: str,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
) -> EncoderSettings:
    """Choose encoder settings; what is not given follows from the container and the source.

    H.264 for 8 bits and HEVC for 10 (AV1 in WebM, MPEG-4 in AVI), with the source's chroma
    sampling; 4:4:4 where an odd size leaves no choice.

    Args:
        info (VideoInfo): Size, rate and colour of the video.
        suffix (str): Ending of the file, such as '.mp4'.
        codec (str, optional): Name of an encoder or of a codec, such as 'hevc'.
        crf (float, optional): Quality for encoders that have it, lower is better.
        preset (str, optional): Speed for encoders that have it.
        pix_fmt (str, optional): Pixel format.

    Returns:
        EncoderSettings: The choice.

    Raises:
        EncodingError: Such files are not written, there is no such encoder, or it does not take
            the pixel format or the quality.
    """
    container = container_of(suffix)
    if codec is None:
        tuned = crf is not None or preset is not None or pix_fmt not in (None, 'yuv420p')
        codec = _default_codec(info, suffix.lower(), tuned)
    else:
        codec = _encoder_named(codec)
    if codec == 'libx265' and min(info.height, info.width) < X265_SMALLEST_SIDE:
        raise EncodingError(
            f'libx265 needs frames of at least {X265_SMALLEST_SIDE} pixels a side, these are '
            f'{info.width}x{info.height}: use --codec libx264'
        )
    if codec == 'mjpeg':
        # JPEG knows full range alone.
        info = replace(info, color=replace(info.color, color_range=FULL_RANGE))
    formats = [f.name for f in av.codec.Codec(codec, 'w').video_formats or []]
    if pix_fmt is None:
        pix_fmt = _pixel_format(info, formats)
    elif formats and pix_fmt not in formats:
        raise EncodingError(f'{codec} does not take {pix_fmt!r}, but {", ".join(formats)}')
    _check_size(info, pix_fmt)
    options = dict(_OPTIONS.get(codec, {}))
    known = {o.name for o in av.CodecContext.create(codec, 'w').supported_options.private}
    for name, value in (('crf', crf), ('preset', preset)):
        if value is not None and name not in known:
            raise EncodingError(
                f'{codec} has no {name}: leave out --{name}, or use --codec libx264 or libx265'
            )
    if crf is not None and crf > (highest := _HIGHEST_CRF.get(codec, 63)):
        # Encoders take any number for the highest one they know, and say nothing.
        raise EncodingError(f'{codec} knows --crf up to {highest}, not {crf:g}')
    if crf is not None or codec in _CRF:
        options['crf'] = f'{_CRF.get(codec) if crf is None else crf:g}'
    if preset is not None:
        options['preset'] = preset
    hdr, left_out = hdr_options(info.color, codec)
    depth = max(component.bits for component in av.VideoFormat(pix_fmt).components)
    if info.color.bits > 8 >= depth:
        left_out.append(f'the bits beyond 8 of each sample: {codec} writes {pix_fmt}')
    for name, params in hdr.items():
        options[name] = join_params(options.get(name, ''), params)
    flags = av.format.ContainerFormat(container.format, 'w').flags
    return EncoderSettings(
        codec,
        pix_fmt,
        info,
        options,
        global_header=bool(flags & _CONTAINER_GLOBAL_HEADER),
        reorder=not container.even and info.rate >= _SLOWEST_REORDERED,
        left_out=tuple(left_out),
    )


def _default_codec(info: VideoInfo, suffix: str, tuned: bool) -> str:
    side, color = min(info.height, info.width), info.color
    if suffix == '.webm':
        is_refused = side < _SVTAV1_SMALLEST or color.chroma == '444' or info.rate > _SVTAV1_FASTEST
        return 'libvpx-vp9' if is_refused else 'libsvtav1'
    even = info.height % 2 == info.width % 2 == 0
    if suffix == '.avi' and even and color.bits == 8 and color.chroma in ('420', 'gray'):
        # Readers guess when H.264 in AVI is shown, and some are a frame late.
        return 'libx264' if tuned else 'mpeg4'
    # H.265 is no more at home in these than VP9 is.
    old = suffix in ('.avi', '.flv', '.3gp')
    return 'libx264' if color.bits == 8 or side < X265_SMALLEST_SIDE or old else 'libx265'


def _encoder_named(name: str) -> str:
    """Return the encoder for the name of one or of a codec."""
    known = _video_encoders()
    lower = name.lower()
    found = known.get(_OTHER_NAMES.get(lower, lower))
    if found is None:
        raise EncodingError(
            f'there is no video encoder {name!r} here.{did_you_mean(name, sorted(known))}'
        )
    return found


@functools.cache
def _video_encoders() -> dict[str, str]:
    """Return the encoders by their names, and by those of their codecs."""
    names = {}
    for name in av.codecs_available:
        try:
            codec = av.codec.Codec(name, 'w')
        except av.codec.codec.UnknownCodecError:
            continue
        if codec.type == 'video':
            names[name] = names[codec.name] = codec.name
    return names


def _check_size(info: VideoInfo, pix_fmt: str) -> None:
    chroma = av.VideoFormat(pix_fmt, 64, 64)
    if (info.width % 2 and chroma.chroma_width(64) < 64) or (
        info.height % 2 and chroma.chroma_height(64) < 64
    ):
        raise EncodingError(
            f'{pix_fmt} needs an even size, this is {info.width}x{info.height}: use a --pix-fmt '
            'of 4:4:4 and a --codec that has it, such as libx264'
        )


def _pixel_format(info: VideoInfo, formats: Sequence[str]) -> str:
    """Return the source's sampling and depth if the encoder has it, else the nearest richer one."""
    chromas = ['420', '422', '444']
    first = 0 if info.color.chroma == 'gray' else chromas.index(info.color.chroma)
    # Half the chroma of an odd size does not exist.
    first = 2 if info.width % 2 or (info.height % 2 and first == 0) else first
    wanted = ['gray'] if info.color.chroma == 'gray' else []
    wanted += [f'yuv{chroma}p' for chroma in chromas[first:]]
    deep = [f'{name}10le' for name in wanted]
    ordered = [*deep, *wanted] if info.color.bits > 8 else [*wanted, *deep]
    if not formats:
        return ordered[0]
    for name in ordered:
        if name in formats:
            return name
    odd = ' of this odd size' if first == 2 and info.color.chroma != '444' else ''
    raise EncodingError(
        f'this encoder takes {", ".join(formats)}, but the frames{odd} need {wanted[0]}: use '
        'another --codec, such as libx264'
    )


def configure(context: av.VideoCodecContext, settings: EncoderSettings) -> None:
    """Prepare an encoder, before it is opened."""
    info = settings.info
    context.width, context.height, context.pix_fmt = info.width, info.height, settings.pix_fmt
    # Frames are counted: there are encoders that take no finer clock, or no long durations.
    context.time_base = 1 / info.rate
    context.framerate = info.rate
    context.sample_aspect_ratio = info.pixel_aspect
    context.color_range, context.colorspace = info.color.color_range, info.color.matrix
    context.color_primaries, context.color_trc = info.color.primaries, info.color.transfer
    context.options = dict(settings.options)
    if settings.codec == 'libx264':
        # Not among the settings: these are the same on every machine.
        params = join_params(settings.options.get('x264-params', ''), x264_params())
        if params:
            context.options |= {'x264-params': params}
    context.thread_count = _ENCODER_THREADS
    if settings.global_header:
        context.flags |= _GLOBAL_HEADER
    if not settings.reorder:
        context.max_b_frames = 0
    if settings.codec == 'libsvtav1':
        # Or it describes itself at length on the standard error, each time.
        os.environ.setdefault('SVT_LOG', '1')
    if settings.codec in _QUANTISED:
        context.qscale = True
        context.global_quality = _QUANTISER * _QP_TO_LAMBDA


def encoding_error(settings: EncoderSettings, error: Exception) -> EncodingError:
    """Describe, as an error, what an encoder refused."""
    info = settings.info
    return EncodingError(
        f'{settings.codec} cannot encode {info.width}x{info.height} {settings.pix_fmt} at '
        f'{float(info.rate):g} frames/s with {dict(settings.options)}: {error}. Use another '
        '--codec, --pix-fmt or --preset, or write a folder of frames'
    )
