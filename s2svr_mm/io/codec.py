# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Sending frames through a real video encoder and decoder, in memory."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Literal

import av
from av.video.codeccontext import VideoCodecContext

from ..errors import ConfigError, DataError

DECODERS = {'libx265': 'hevc', 'libx264': 'h264'}
# Where a side is not longer than its 64x64 coding tree unit, x265 reads memory that it never wrote
# (64x64: another result each time) or writes past its end (32x48: a crash).
SMALLEST_SIDE = 72


def encoder_params(
    encoder: str, qp: int | None = None, crf: float | None = None, bframes: int = 0
) -> str:
    """Write the ``-x265-params`` or ``-x264-params`` string for one clip.

    One intra frame, then P frames (and ``bframes`` B frames between them), no scene cuts, one
    thread so that the result never depends on the machine. A constant ``qp`` is the same for all
    frame types, the nearest that x265 has to the low-delay P configuration of HM in MFQEv2.

    Args:
        encoder (str): 'libx265' or 'libx264'.
        qp (int, optional): Constant quantisation parameter.
        crf (float, optional): Constant rate factor instead.
        bframes (int): B frames between two P frames. Default: 0.

    Returns:
        str: Settings, also for ``ffmpeg -c:v libx265 -x265-params ...``.
    """
    if (qp is None) == (crf is None):
        raise ConfigError(f'Give either qp or crf, got qp={qp} and crf={crf}.')
    rate = f'crf={crf}' if qp is None else f'qp={qp}:ipratio=1:pbratio=1'
    common = f'{rate}:bframes={bframes}:scenecut=0'
    if encoder == 'libx265':
        return f'{common}:keyint=-1:frame-threads=1:pools=1:log-level=none'
    return f'{common}:keyint=infinite:threads=1'


def recompress(
    frames: Iterable[av.VideoFrame], encoder: str, params: str
) -> Iterator[av.VideoFrame]:
    """Encode frames and decode them again.

    Args:
        frames (Iterable[av.VideoFrame]): 'yuv420p' frames of one even size, 72 pixels at least.
        encoder (str): 'libx265' or 'libx264'.
        params (str): What :func:`encoder_params` returned.

    Yields:
        av.VideoFrame: As many 'yuv420p' frames as came in, in the same order.

    Raises:
        DataError: A frame is too small.
        RuntimeError: The decoder returns another number of frames.
    """
    encode = _context(encoder, 'w')
    decode = _context(DECODERS[encoder], 'r')
    encode.pix_fmt = 'yuv420p'
    encode.time_base = Fraction(1, 25)
    encode.framerate = Fraction(25)
    encode.options = {f'{encoder[3:]}-params': params}
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
        raise RuntimeError(f'{encoder} took {sent} frames and gave {received} back.')


def _context(name: str, mode: Literal['r', 'w']) -> VideoCodecContext:
    context = av.CodecContext.create(name, mode)
    assert isinstance(context, VideoCodecContext)
    return context
