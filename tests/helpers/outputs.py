# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Write the frames of a video again, with what lies beside them, without decoding or restoring."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from s2svr_mm.io.encoding import choose_encoder
from s2svr_mm.io.muxing import write_video
from s2svr_mm.io.output_plan import SourceStreams, TimeRange
from s2svr_mm.io.packet_log import read_timeline
from s2svr_mm.io.reader import VideoInfo
from s2svr_mm.io.rehearsal import plan_output
from s2svr_mm.io.segments import SegmentEncoder


def rewrite(
    source: Path,
    target: Path,
    frames: tuple[int, int | None] = (0, None),
    without: tuple[str, ...] = (),
    size: tuple[int, int] = (32, 32),
    **choice: str | float,
) -> list[str]:
    """Write grey frames at the times of a video's, in two segments; returns the notes."""
    timeline = read_timeline(str(source))
    first, stop = frames[0], len(timeline.times) if frames[1] is None else frames[1]
    info = VideoInfo(*size, rate=timeline.rate(Fraction(25)), time_base=timeline.base)
    settings = choose_encoder(info, target.suffix, **choice)
    plan = plan_output(target.suffix, settings, SourceStreams(str(source), timeline, without))
    segments = []
    for number, part in enumerate(np.array_split(np.arange(first, stop), 2)):
        if not len(part):
            continue
        segments.append(target.with_name(f'{target.name}.{number}'))
        encoder = SegmentEncoder(segments[-1], settings)
        for index in part:
            grey = np.full((*size, 3), 40 + 5 * index % 150, np.uint8)
            encoder.write(grey, timeline.time(int(index)))
        encoder.finish()
    end = timeline.time(stop)
    cut = TimeRange(
        timeline.time(first) * timeline.base, None if frames[1] is None else end * timeline.base
    )
    try:
        return write_video(target, plan, segments, end, cut)
    finally:
        for segment in segments:
            segment.unlink()
