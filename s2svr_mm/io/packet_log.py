# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Reading the time stamps of a whole video file."""

import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from statistics import median

import av

from .copied_times import copied_times
from .media import open_video, stated_rate, video_stream
from .timeline import LEAP, Stamp, Timeline, timeline_of

# FFmpeg's AVFMT_TS_DISCONT: a container whose clock may be set anew on the way.
_TS_DISCONT = 0x200


class PacketLog:
    """Collect the time stamps of a file while something reads all of its packets.

    It keeps no stream, for these live no longer than their file is open.

    Args:
        container (av.container.InputContainer): The file.
        video (av.VideoStream): The stream of its frames.
    """

    def __init__(self, container: av.container.InputContainer, video: av.VideoStream) -> None:
        self._video = video.index
        self._rate = stated_rate(video)
        self._base = Fraction(video.time_base or 1 / self._rate)
        self._discontinuous = bool(container.format.flags & _TS_DISCONT)
        self._position = 0
        self._stamps: list[Stamp] = []
        # Of each other stream its tick, whether it is sound, and its packets.
        self._copied: dict[int, tuple[Fraction, bool, list[Stamp]]] = {}
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
        if stream.index == self._video:
            # A trimmed video starts with packets that are decoded but not shown.
            if not packet.is_discard:
                self._stamps.append(stamp)
            return
        if stream.type not in ('audio', 'subtitle'):
            return
        is_sound = stream.type == 'audio'
        tick = Fraction(stream.time_base or self._base)
        stamps = self._copied.setdefault(stream.index, (tick, is_sound, []))[2]
        if is_sound and not packet.is_discard:
            self._hear(packet, len(stamps))
        stamps.append(stamp)

    def _hear(self, packet: av.Packet, number: int) -> None:
        self._first_audible.setdefault(packet.stream.index, (number, skipped_samples(packet)))
        if packet.pts is not None:
            self._heard.add(int(packet.pts * packet.time_base))

    def timeline(self, stamps: Sequence[Stamp] | None = None) -> Timeline:
        """Find the times of the frames and of all packets of the other streams.

        Args:
            stamps (Sequence[Stamp], optional): Those of the frames, where packets and frames are
                not the same. Defaults to None.

        Returns:
            Timeline: As many frames as packets, or as ``stamps``.
        """
        base = self._base
        durations = [stamp.duration for stamp in self._stamps if stamp.duration > 0]
        nominal = round(median(durations) if durations else 1 / (self._rate * base))
        shown = self._stamps if stamps is None else stamps
        timeline = timeline_of(shown, base, nominal, self._is_jump if self._discontinuous else None)
        copied = {}
        lead = Fraction(0)
        for index, (tick, is_sound, others) in self._copied.items():
            copied[index] = copied_times(others, tick, timeline, is_sound)
            if index in self._first_audible:
                number, skipped = self._first_audible[index]
                lead = max(lead, -(copied[index][number] * tick + skipped))
        # Where clocks jump, more than some seconds are another clock and not a head start.
        lead = Fraction(0) if self._discontinuous and lead > LEAP else lead
        return replace(timeline, copied=copied, lead=lead)

    def _is_jump(self, start: Fraction, stop: Fraction) -> bool:
        """Whether there is no sound for most of the time between."""
        seconds = range(int(start) + 1, int(stop))
        return 2 * sum(second in self._heard for second in seconds) < len(seconds)


def read_timeline(path: str, frames: Sequence[Stamp] | None = None) -> Timeline:
    """Read all packets of a video file for the times of its frames.

    Args:
        path (str): The file; what can't be read of it is left out.
        frames (Sequence[Stamp], optional): What is known of each frame. It counts where there are
            more or fewer packets than frames. Defaults to None, a frame for each packet.

    Returns:
        Timeline: When frames and the packets of other streams are shown.
    """
    with open_video(path) as container:
        log = PacketLog(container, video_stream(container, path))
        with suppress(av.error.FFmpegError):
            for packet in container.demux():
                log.add(packet)
    timeline = log.timeline()
    if frames is None or len(frames) == len(timeline.times):
        return timeline
    return log.timeline(frames)


def skipped_samples(packet: av.Packet) -> Fraction:
    """How much of the start of a packet of sound is not to be heard, seconds."""
    context = packet.stream.codec_context
    rate = context.sample_rate if context else 0
    if not rate or not packet.has_sidedata('skip_samples'):
        return Fraction(0)
    return Fraction(struct.unpack('<I', bytes(packet.get_sidedata('skip_samples'))[:4])[0], rate)
