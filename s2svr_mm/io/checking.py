# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Opening what was written, as a player would, to see whether all of it is there."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import IO

import av

from .media import video_streams

# Containers round times to milliseconds; sound may drift a little over hours, not in a second.
_OFF, _SOUND_OFF, _SOUND_OFF_BRIEFLY = 0.0015, 0.2, 0.05
# Packets of sound among which one can be decoded.
_TRIED = 50
# Later than that no output starts.
_LATEST = 1.0


def codec_name(stream: av.stream.Stream) -> str:
    """FFmpeg's name of a stream's codec."""
    context = stream.codec_context
    return context.codec.canonical_name if context else 'unknown'


def open_again(file: Path | IO[bytes]) -> av.container.InputContainer:
    """Open what was written for reading."""
    if isinstance(file, Path):
        return av.open(os.path.abspath(file), 'r')
    file.seek(0)
    return av.open(file, 'r')


@dataclass(frozen=True)
class Expected:
    """What a file should hold.

    Attributes:
        size (tuple[int, int]): Width and height.
        times (Sequence[Fraction]): When the frames are shown, in order, seconds.
        tick (Fraction): Seconds of the finest difference between times.
        streams (Sequence[tuple[str, str]]): Type and codec of each other stream.
        ends (Sequence[Fraction | None]): When each of them ends, seconds; None if it is not sound,
            or empty.
        audible (bool): Whether sound can be decoded. Defaults to True.
        even (bool): Whether the container knows no times, and frames are in the order of decoding.
            Defaults to False.
    """

    size: tuple[int, int]
    times: Sequence[Fraction]
    tick: Fraction
    streams: Sequence[tuple[str, str]] = ()
    ends: Sequence[Fraction | None] = ()
    audible: bool = True
    even: bool = False


def find_fault(file: Path | IO[bytes], expected: Expected, thorough: bool = False) -> str | None:
    """Compare a file with what it should hold.

    Args:
        file (Path | IO): The file.
        expected (Expected): What was written.
        thorough (bool): Whether to decode all of it and not just the first frame, and to be strict,
            for it is short. Defaults to False.

    Returns:
        str | None: What is wrong.
    """
    try:
        with open_again(file) as container:
            fault = _streams_fault(container, expected)
            fault = fault or _times_fault(container, expected, thorough)
        if fault is None:
            with open_again(file) as container:
                fault = _frames_fault(container, expected, thorough)
    except av.error.FFmpegError as error:
        return f'it cannot be read again: {error.strerror}'
    return fault


def _others(container: av.container.InputContainer) -> list[av.stream.Stream]:
    return [stream for stream in container.streams if stream.type in ('audio', 'subtitle')]


def _streams_fault(container: av.container.InputContainer, expected: Expected) -> str | None:
    videos = video_streams(container)
    if len(videos) != 1:
        return f'it holds {len(videos)} videos instead of one'
    found = [(stream.type, codec_name(stream)) for stream in _others(container)]
    if found != list(expected.streams):
        names = [
            ', '.join(f'{codec} ({kind})' for kind, codec in s) for s in (found, expected.streams)
        ]
        return (
            f'beside the video it holds {names[0] or "nothing"} instead of {names[1] or "nothing"}'
        )
    return None


def _times_fault(
    container: av.container.InputContainer, expected: Expected, thorough: bool
) -> str | None:
    video, others = video_streams(container)[0], _others(container)
    shown: list[Fraction] = []
    ends: dict[int, Fraction] = {}
    longest: dict[int, Fraction] = {}
    for packet in container.demux(video, *others):
        # Where there are no times of showing, they are guessed, and some frames late.
        stamp = packet.dts if expected.even and packet.dts is not None else packet.pts
        if not packet.size or stamp is None:
            continue
        time = stamp * packet.time_base
        if packet.stream.index == video.index:
            shown.append(time)
        else:
            index, lasts = packet.stream.index, (packet.duration or 0) * packet.time_base
            ends[index] = max(time + lasts, ends.get(index, time))
            longest[index] = max(lasts, longest.get(index, lasts))
    if len(shown) != len(expected.times):
        return f'it holds {len(shown)} frames instead of {len(expected.times)}'
    shown.sort()
    late = shown[0] - expected.times[0]
    off = max(abs(a - late - b) for a, b in zip(shown, expected.times, strict=True))
    if off > max(_OFF, 0.6 * expected.tick) or not -_OFF < late < _LATEST:
        return (
            f'its frames start at {float(shown[0]):.3f} s and are up to {float(off):.3f} s off '
            'their times'
        )
    for stream, stop in zip(others, expected.ends, strict=True):
        end = ends.get(stream.index, late) - late
        allowed = longest.get(stream.index, 0) + (_SOUND_OFF_BRIEFLY if thorough else _SOUND_OFF)
        if stop is not None and abs(end - stop) > allowed:
            return (
                f'its stream {stream.index} ({stream.type}) ends at {float(end):.2f} s instead of '
                f'{float(stop):.2f} s'
            )
    return None


def _frames_fault(
    container: av.container.InputContainer, expected: Expected, thorough: bool
) -> str | None:
    video = video_streams(container)[0]
    times: list[Fraction] = []
    for frame in container.decode(video):
        if (frame.width, frame.height) != expected.size:
            return f'its frames are {frame.width}x{frame.height}'
        if not thorough:
            return None
        times.append((frame.pts or 0) * (frame.time_base or expected.tick))
    steps = [b - a for a, b in pairwise(times)]
    wanted = [b - a for a, b in pairwise(expected.times)]
    off = max((abs(a - b) for a, b in zip(steps, wanted, strict=False)), default=Fraction(0))
    if len(times) != len(expected.times) or off > max(2 * _OFF, float(expected.tick)):
        return f'its {len(times)} decoded frames are up to {float(off):.3f} s off their times'
    for stream in container.streams.audio if expected.audible else ():
        container.seek(0)
        if not decodes(container, stream):
            return f'its stream {stream.index} (audio) cannot be decoded'
    return None


def decodes(container: av.container.InputContainer, stream: av.AudioStream) -> bool:
    """Whether any sound comes out of a stream."""
    for packet in islice(container.demux(stream), _TRIED):
        with suppress(av.error.FFmpegError):
            if packet.decode():
                return True
    return False
