# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Sound and text subtitles in another codec, for containers that can't hold their own."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Protocol, cast

import av
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

TEXT_SUBTITLES = {'subrip', 'ass', 'mov_text', 'webvtt', 'text'}
# Of encoders that lose something, per channel: more than anybody hears.
_BIT_RATE = 128_000
# The shortest pause that is more than rounding is this part of a second.
_HEARD = 100
_LAYOUTS = {1: 'mono', 2: 'stereo', 3: '3.0', 4: 'quad', 5: '5.0', 6: '5.1', 7: '6.1', 8: '7.1'}
_MILLISECOND = Fraction(1, 1000)


class Converter(Protocol):
    """Make packets of another codec."""

    def convert(self, packet: av.Packet, time: Fraction) -> Iterator[av.Packet]:
        """Take a packet of the source that is shown at a time, seconds."""

    def finish(self) -> Iterator[av.Packet]:
        """Return what is still held."""


def add_converter(
    output: av.container.OutputContainer, source: av.stream.Stream, encoder: str, fill: bool
) -> tuple[av.stream.Stream, Converter]:
    """Add a stream for what another one becomes.

    Args:
        output (av.container.OutputContainer): What is being written.
        source (av.stream.Stream): Sound or text subtitles.
        encoder (str): Name of the encoder.
        fill (bool): Whether pauses of sound become silence, for a container that knows none.

    Returns:
        tuple[av.stream.Stream, Converter]: The new stream, and what makes its packets.

    Raises:
        av.error.FFmpegError: The decoder or the encoder does not take this.
        ValueError: The container does not hold the new codec.
    """
    if source.type == 'subtitle':
        text = cast(SubtitleStream, output.add_stream(encoder))
        return text, _TextConverter(cast(SubtitleStream, source), text)
    sound = cast(av.AudioStream, source)
    context = sound.codec_context
    rates = av.codec.Codec(encoder, 'w').audio_rates or [context.sample_rate]
    rate = min((r for r in rates if r >= context.sample_rate), default=max(rates))
    stream = cast(av.AudioStream, output.add_stream(encoder, rate=rate))
    stream.codec_context.layout = _layout(context.layout, encoder)
    stream.codec_context.time_base = Fraction(1, rate)
    if encoder == 'flac':
        # As much as there is of it; others have but one depth.
        deep = context.format.bytes > 2
        stream.codec_context.format = 's32' if deep else 's16'
    elif not encoder.startswith('pcm'):
        stream.codec_context.bit_rate = _BIT_RATE * context.layout.nb_channels
    return stream, _SoundConverter(sound, stream, fill)


def _layout(layout: av.AudioLayout, encoder: str) -> str:
    """Return the same channels by a name that the encoder knows."""
    whole = encoder == 'flac' or encoder.startswith('pcm')
    known = layout.name in _LAYOUTS.values() or layout.nb_channels not in _LAYOUTS
    if known or (whole and not layout.name.endswith('channels')):
        return layout.name
    return _LAYOUTS[layout.nb_channels]


class _SoundConverter:
    def __init__(self, source: av.AudioStream, stream: av.AudioStream, fill: bool) -> None:
        self._source, self._stream, self._fill = source, stream, fill
        # When what is encoded ends, samples from the start of the file.
        self._end: int | None = 0 if fill else None

    def convert(self, packet: av.Packet, time: Fraction) -> Iterator[av.Packet]:
        frames: list[av.AudioFrame] = []
        # Damage of sound is passed over; the frames after it have times of their own.
        with suppress(av.error.FFmpegError):
            frames = self._source.codec_context.decode(packet)
        for frame in frames:
            base = Fraction(1, frame.sample_rate)
            frame.pts, frame.time_base = round(time / base), base
            time += frame.samples * base
            gap = 0 if self._end is None else frame.pts - self._end
            if abs(gap) * _HEARD <= frame.sample_rate:
                frame.pts -= gap
            elif gap < 0:
                # Where recordings were joined, the earlier one is heard to its end.
                continue
            elif self._fill:
                yield from self._silence(frame, gap)
            self._end = frame.pts + frame.samples
            yield from self._stream.encode(frame)

    def _silence(self, frame: av.AudioFrame, missing: int) -> Iterator[av.Packet]:
        """Fill the time before a frame."""
        for start in range(0, missing, frame.sample_rate):
            samples = min(missing - start, frame.sample_rate)
            silence = av.AudioFrame(frame.format.name, frame.layout.name, samples)
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            silence.sample_rate, silence.time_base = frame.sample_rate, frame.time_base
            silence.pts = (frame.pts or 0) - missing + start
            yield from self._stream.encode(silence)

    def finish(self) -> Iterator[av.Packet]:
        yield from self._stream.encode(None)


class _TextConverter:
    def __init__(
        self,
        source: SubtitleStream,
        stream: SubtitleStream,
    ) -> None:
        self._source, self._stream = source, stream
        source.codec_context.open(strict=False)
        context = stream.codec_context
        # The decoder's: all of them speak ASS in between.
        context.subtitle_header = source.codec_context.subtitle_header
        context.time_base = stream.time_base = _MILLISECOND

    def convert(self, packet: av.Packet, time: Fraction) -> Iterator[av.Packet]:
        decoded = None
        with suppress(av.error.FFmpegError):
            decoded = self._source.codec_context.decode2(packet)
        duration = round((packet.duration or 0) * packet.time_base / _MILLISECOND)
        for line in decoded or ():
            text = cast(AssSubtitle, line).ass
            new = SubtitleSet.create(text, 0, duration)
            made = self._stream.codec_context.encode_subtitle(new)
            made.pts = made.dts = round(time / _MILLISECOND)
            made.duration, made.time_base, made.stream = duration, _MILLISECOND, self._stream
            yield made

    def finish(self) -> Iterator[av.Packet]:
        yield from ()
