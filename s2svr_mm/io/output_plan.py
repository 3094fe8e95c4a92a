# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What goes into a video file, and where it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from .containers import Container
from .encoding import EncoderSettings
from .timeline import Timeline


@dataclass(frozen=True)
class TimeRange:
    """Which part of the source's sound and subtitles is kept.

    Attributes:
        start (Fraction): When the first frame is shown, seconds from the source's first one. What
            is earlier stays out, but for sound before the source's first frame.
        stop (Fraction, optional): When it ends; None for the end of all streams.
    """

    start: Fraction = Fraction(0)
    stop: Fraction | None = None


@dataclass(frozen=True)
class SourceStreams:
    """A video file whose sound, subtitles, attachments and chapters may be kept.

    Attributes:
        path (str): The file.
        timeline (Timeline): When its frames and packets are shown.
        without (tuple[str, ...]): Kinds of streams to leave out: 'audio', 'subtitle'.
    """

    path: str
    timeline: Timeline
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class OutputPlan:
    """What goes into a video file.

    Attributes:
        suffix (str): Ending of the file's name.
        container (Container): The container of that suffix.
        settings (EncoderSettings): How the frames are encoded.
        source (SourceStreams, optional): Where the other streams come from.
        copied (tuple[int, ...]): Numbers of the source's streams that are copied.
        converted (Mapping[int, str]): Numbers of those that are converted, and the encoders.
        attached (tuple[int, ...]): Numbers of the attachments.
        chapters (bool): Whether the source's chapters are kept.
        lead (Fraction): How much earlier than the first frame the sound starts, seconds.
        left_out (tuple[str, ...]): What of the source is not in it.
        notes (tuple[str, ...]): What is not in it as it was.
    """

    suffix: str
    container: Container
    settings: EncoderSettings
    source: SourceStreams | None = None
    copied: tuple[int, ...] = ()
    converted: Mapping[int, str] = field(default_factory=dict)
    attached: tuple[int, ...] = ()
    chapters: bool = False
    lead: Fraction = Fraction(0)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tick(self) -> Fraction:
        """Seconds of one tick of the frames in the file."""
        info = self.settings.info
        return 1 / info.rate if self.container.even else info.time_base
