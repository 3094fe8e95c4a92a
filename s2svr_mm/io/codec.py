# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Sending frames through a real video encoder and decoder, in memory."""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Literal

import av
from av.video.codeccontext import VideoCodecContext

from ..errors import ConfigError, DataError
from ..utils.devices import has_avx512

DECODERS = {'libx265': 'hevc', 'libx264': 'h264', 'libvpx-vp9': 'vp9', 'mpeg4': 'mpeg4'}
FRAME_RATE = 25
_RATE_CONTROLS = {
    'libx264': ('crf', 'qp', 'bitrate'),
    'libx265': ('crf', 'qp', 'bitrate'),
    'libvpx-vp9': ('crf', 'bitrate'),
    'mpeg4': ('qp', 'bitrate'),
}
# Where a side is not longer than its 64x64 coding tree unit, x265 reads memory that it never wrote
# (64x64: another result each time) or writes past its end (32x48: a crash).
X265_SMALLEST_SIDE = 65
# What smaller frames are padded to: the next multiple of 8, a whole number of coding units.
SMALLEST_SIDE = 72


def join_params(*params: str) -> str:
    """Join strings of ``-x264-params`` or ``-x265-params``, of which any may be empty."""
    return ':'.join(filter(None, params))


def x264_params() -> str:
    """Return the settings with which x264 makes the same bytes of the same frames each time.

    With AVX-512 its macroblock tree gives results that differ from run to run: three of one clip
    of 256x192 in twenty runs, one with AVX2, ``mbtree=0`` or ``asm=0``. What AVX2 gives is also
    what machines without AVX-512 write.

    Returns:
        str: For ``-x264-params``; '' where nothing is to be set.
    """
    return 'asm=avx2' if has_avx512() else ''


def protocol_options(
    encoder: str, qp: int | None = None, crf: float | None = None, bframes: int = 0
) -> dict[str, str]:
    """Write the options of x265 or x264 for one clip, as protocols have them.

    One intra frame, then P frames (and ``bframes`` B frames between them), no scene cuts, one
    thread so that the result never depends on the machine. A constant ``qp`` is the same for all
    frame types, the nearest that x265 has to the low-delay P configuration of HM in MFQEv2.

    Args:
        encoder (str): 'libx265' or 'libx264'.
        qp (int, optional): Constant quantisation parameter.
        crf (float, optional): Constant rate factor instead.
        bframes (int): B frames between two P frames. Defaults to 0.

    Returns:
        dict[str, str]: FFmpeg's options, ``-x265-params`` or ``-x264-params``.

    Raises:
        ConfigError: Both of ``qp`` and ``crf`` are given, or neither.
    """
    if (qp is None) == (crf is None):
        raise ConfigError(f'Give either qp or crf, got qp={qp} and crf={crf}.')
    rate = f'crf={crf}' if qp is None else f'qp={qp}:ipratio=1:pbratio=1'
    common = f'{rate}:bframes={bframes}:scenecut=0'
    if encoder == 'libx265':
        params = f'{common}:keyint=-1:frame-threads=1:pools=1:log-level=none'
    else:
        params = join_params(common, 'keyint=infinite:threads=1', x264_params())
    return {f'{encoder[3:]}-params': params}


def encoder_options(
    encoder: str,
    rate: tuple[str, float],
    preset: str | None = None,
    keyint: int = 250,
    bframes: int = 0,
) -> dict[str, str]:
    """Write the options of an encoder as people and their devices use it, on one thread.

    Args:
        encoder (str): 'libx264', 'libx265', 'libvpx-vp9' or 'mpeg4'.
        rate (tuple[str, float]): 'crf' (x264, x265, VP9), 'qp' (x264, x265, and MPEG-4, whose
            scale is 1 to 31) or 'bitrate' in bits a second at 25 frames a second, and its value.
        preset (str, optional): A preset of x264 or x265, or the ``cpu-used`` of VP9. Defaults to
            None, the encoder's own ('5' for VP9).
        keyint (int): Frames from one intra frame to the next at most. Defaults to 250.
        bframes (int): B frames between two P frames at most; VP9 has none. Defaults to 0.

    Returns:
        dict[str, str]: FFmpeg's options.

    Raises:
        ConfigError: The encoder is unknown, or has no such rate control.
    """
    mode, value = rate
    if mode not in _RATE_CONTROLS.get(encoder, ()):
        known = '; '.join(f'{name}: {", ".join(modes)}' for name, modes in _RATE_CONTROLS.items())
        raise ConfigError(f'{encoder!r} with rate control {mode!r} is not known, but {known}.')
    options = {'g': str(keyint), 'threads': '1'}
    if encoder == 'libvpx-vp9':
        quality = {'crf': f'{value:.0f}', 'b': '0'} if mode == 'crf' else {'b': f'{value:.0f}'}
        return {**options, **quality, 'deadline': 'realtime', 'cpu-used': preset or '5'}
    if encoder == 'mpeg4':
        level = f'{value:.0f}'
        quality = {'qmin': level, 'qmax': level} if mode == 'qp' else {'b': level}
        return {**options, **quality, 'bf': str(bframes)}
    own = {
        'libx264': join_params('threads=1', x264_params()),
        'libx265': 'frame-threads=1:pools=1:log-level=none',
    }
    level = str(max(1, round(value / 1000))) if mode == 'bitrate' else f'{value:g}'
    params = f'{mode}={level}:keyint={keyint}:bframes={bframes}:{own[encoder]}'
    return {'preset': preset or 'medium', f'{encoder[3:]}-params': params}


def recompress(
    frames: Iterable[av.VideoFrame], encoder: str, options: Mapping[str, str]
) -> Iterator[av.VideoFrame]:
    """Encode frames and decode them again.

    Args:
        frames (Iterable[av.VideoFrame]): 'yuv420p' frames of one even size, 72 pixels at least.
        encoder (str): A key of ``DECODERS``.
        options (Mapping[str, str]): What :func:`protocol_options` or :func:`encoder_options`
            returned.

    Yields:
        av.VideoFrame: As many 'yuv420p' frames as came in, in the same order.

    Raises:
        DataError: A frame is too small.
        RuntimeError: The decoder returns another number of frames.
    """
    encode = _context(encoder, 'w')
    decode = _context(DECODERS[encoder], 'r')
    encode.pix_fmt = 'yuv420p'
    encode.time_base = Fraction(1, FRAME_RATE)
    encode.framerate = Fraction(FRAME_RATE)
    encode.options = dict(options)
    sent = received = 0

    def decoded(packets: Iterable[av.Packet | None]) -> Iterator[av.VideoFrame]:
        nonlocal received
        for packet in packets:
            for frame in decode.decode(packet):
                received += 1
                yield frame

    for frame in frames:
        if min(frame.width, frame.height) < SMALLEST_SIDE:
            raise DataError(
                f'{encoder} needs {SMALLEST_SIDE} pixels a side at least, got '
                f'{frame.width}x{frame.height}.'
            )
        if sent == 0:
            encode.width, encode.height = frame.width, frame.height
        frame.pts, frame.time_base = sent, encode.time_base
        sent += 1
        yield from decoded(encode.encode(frame))
    yield from decoded([*encode.encode(None), None])
    if received != sent:
        raise RuntimeError(f'{encoder} took {sent} frames, but {received} were decoded.')


def _context(name: str, mode: Literal['r', 'w']) -> VideoCodecContext:
    context = av.CodecContext.create(name, mode)
    assert isinstance(context, VideoCodecContext)
    return context
