# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Reading the time stamps of a whole video file."""

import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from statistics import median

import av
from av.stream import Disposition

from .copied_times import copied_times
from .timeline import LEAP, REORDERED, Stamp, Timeline, timeline_of

# FFmpeg's AVFMT_TS_DISCONT: a container whose clock may be set anew on the way.
_TS_DISCONT = 0x200


class PacketLog:
    """Collect the time stamps of a file while something reads all of its packets.

    Args:
        container (av.container.InputContainer): The file.
        video (av.VideoStream): The stream of its frames.
    """

    def __init__(self, container: av.container.InputContainer, video: av.VideoStream) -> None:
        self._video = video
        self._rate = Fraction(video.average_rate or video.guessed_rate or video.base_rate or 25)
        self._discontinuous = bool(container.format.flags & _TS_DISCONT)
        self._position = 0
        self._stamps: list[Stamp] = []
        self._copied: dict[int, tuple[av.stream.Stream, list[Stamp]]] = {}
        # Of each stream of sound its first packet that is heard, and how much of it is not;
        # seconds in which there is any sound.
        self._first_audible: dict[int, tuple[int, Fraction]] = {}
        self._heard: set[int] = set()

    def add(self, packet: av.Packet) -> None:
        """Take the next packet of the file, of any stream."""
        if not packet.size:
            return
        self._position = max(self._position, packet.pos or 0)
        stamp = Stamp(packet.pts, packet.dts, packet.duration or 0, self._position)
        stream = packet.stream
        if stream.index == self._video.index:
            # A trimmed video starts with packets that are decoded but not shown.
            if not packet.is_discard:
                self._stamps.append(stamp)
            return
        if stream.type not in ('audio', 'subtitle'):
            return
        stamps = self._copied.setdefault(stream.index, (stream, []))[1]
        if stream.type == 'audio' and not packet.is_discard:
            self._hear(packet, len(stamps))
        stamps.append(stamp)

    def _hear(self, packet: av.Packet, number: int) -> None:
        self._first_audible.setdefault(packet.stream.index, (number, skipped_samples(packet)))
        if packet.pts is not None:
            self._heard.add(int(packet.pts * packet.time_base))

    def timeline(self, stamps: Sequence[Stamp] | None = None) -> Timeline:
        """Find the times of the frames and of all packets of the other streams.

        Args:
            stamps (Sequence[Stamp], optional): Those of the decoded frames, where packets and
                frames are not the same.

        Returns:
            Timeline: As many frames as packets, or as ``stamps``.
        """
        base = Fraction(self._video.time_base or 1 / self._rate)
        durations = [stamp.duration for stamp in self._stamps if stamp.duration > 0]
        nominal = round(median(durations) if durations else 1 / (self._rate * base))
        shown = self._stamps if stamps is None else self._placed(stamps)
        timeline = timeline_of(shown, base, nominal, self._is_jump if self._discontinuous else None)
        copied = {}
        lead = Fraction(0)
        for index, (stream, others) in self._copied.items():
            tick = Fraction(stream.time_base or base)
            copied[index] = copied_times(others, tick, timeline, stream.type == 'audio')
            if index in self._first_audible:
                number, skipped = self._first_audible[index]
                lead = max(lead, -(copied[index][number] * tick + skipped))
        # Where clocks jump, more than some seconds are another clock and not a head start.
        lead = Fraction(0) if self._discontinuous and lead > LEAP else lead
        return replace(timeline, copied=copied, lead=lead)

    def _placed(self, stamps: Sequence[Stamp]) -> list[Stamp]:
        """Say where decoded frames lie: where the packets with their times do."""
        places: dict[int | None, list[int]] = {}
        for index, stamp in enumerate(self._stamps):
            places.setdefault(stamp.pts, []).append(index)
        placed, last = [], 0
        for stamp in stamps:
            near = (i for i in places.get(stamp.pts, ()) if i >= last - REORDERED)
            last = next(near, last)
            position = self._stamps[last].position if self._stamps else 0
            placed.append(stamp._replace(position=position))
        return placed

    def _is_jump(self, start: Fraction, stop: Fraction) -> bool:
        """Whether there is no sound for most of the time between."""
        seconds = range(int(start) + 1, int(stop))
        return 2 * sum(second in self._heard for second in seconds) < len(seconds)


def read_timeline(path: str, num_frames: int | None = None) -> Timeline:
    """Read all packets of a video file for the times of its frames.

    Args:
        path (str): The file; what can't be read of it is left out.
        num_frames (int, optional): How many frames a decoder makes of it. Where packets are not as
            many, all is decoded for the times of the frames. Defaults to None, as many.

    Returns:
        Timeline: When frames and the packets of other streams are shown.
    """
    with av.open(os.path.abspath(path)) as container:
        log = PacketLog(container, video_streams(container)[0])
        with suppress(av.error.FFmpegError):
            for packet in container.demux():
                log.add(packet)
        timeline = log.timeline()
    if num_frames in (None, len(timeline.times)):
        return timeline
    with av.open(os.path.abspath(path)) as container:
        video = video_streams(container)[0]
        stamps: list[Stamp] = []
        with suppress(av.error.FFmpegError):
            for frame in container.decode(video):
                stamps.append(Stamp(frame.pts, frame.dts, frame.duration or 0))
        return log.timeline(stamps)


def video_streams(container: av.container.Container) -> list[av.VideoStream]:
    """Return the videos of a file, without cover pictures."""
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def skipped_samples(packet: av.Packet) -> Fraction:
    """How much of the start of a packet of sound is not to be heard, seconds."""
    rate = packet.stream.codec_context.sample_rate
    if not rate or not packet.has_sidedata('skip_samples'):
        return Fraction(0)
    return Fraction(struct.unpack('<I', bytes(packet.get_sidedata('skip_samples'))[:4])[0], rate)
