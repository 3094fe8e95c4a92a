# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Finding out before any work what a video file can hold, by writing a small one.

FFmpeg's tables say little: some containers take what no player finds in them again, others refuse
what they hold well. So a few frames are encoded as they will be, and written together with the
first packets of each stream of the source; what comes back decides. A stream that does not come
back is converted, and if that fails too, the output is refused with the name of the stream.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import islice, pairwise
from statistics import median

import av
import numpy as np

from ..errors import EncodingError
from .checking import codec_name, decodes, find_fault, open_again
from .containers import container_of
from .conversion import TEXT_SUBTITLES
from .encoding import EncoderSettings
from .media import open_video, video_stream
from .muxing import Muxer, Timed, readable
from .output_plan import OutputPlan, SourceStreams, TimeRange
from .segments import PacketEncoder, Record

_FRAMES, _PACKETS, _SIDE = 8, 40, 128
# Seconds without sound that are heard.
_PAUSE = Fraction(1, 20)
# Packets of the source among which the first ones of a stream are looked for.
_SEARCHED = 2000
# Tried in this order where another container is wanted.
_ROOMY = ('.mkv', '.mov', '.mp4', '.nut')


def plan_output(
    suffix: str, settings: EncoderSettings, source: SourceStreams | None = None
) -> OutputPlan:
    """Decide what goes into a video file and how.

    Args:
        suffix (str): Ending of the file's name.
        settings (EncoderSettings): How its frames will be encoded.
        source (SourceStreams, optional): What lies beside the frames of the source.

    Returns:
        OutputPlan: For :class:`.muxing.Muxer`.

    Raises:
        EncodingError: The file can't hold the frames, or not all of the streams in any form.
    """
    suffix = suffix.lower()
    even = container_of(suffix).even
    if even and source and not source.timeline.is_even(settings.info.rate):
        raise EncodingError(
            f'{suffix} files hold frames of one duration, but those of {source.path} vary: '
            'write an .mkv or .mp4 file'
        )
    plan = OutputPlan(suffix, container_of(suffix), settings, source, left_out=settings.left_out)
    rehearsal = _Rehearsal(settings)
    if fault := rehearsal.fault(replace(plan, source=None)):
        other = rehearsal.another(replace(plan, source=None))
        raise EncodingError(
            f'{suffix} files do not hold these frames by {settings.codec} ({fault}): {other}use '
            'another --codec'
        )
    return _with_streams(plan, source, rehearsal) if source else plan


class _Rehearsal:
    """A few frames, ready to be written in any container."""

    def __init__(self, settings: EncoderSettings) -> None:
        info = settings.info
        # At full size it need only start.
        PacketEncoder(settings).open()
        small = replace(info, width=_small(info.width), height=_small(info.height))
        self._settings = replace(settings, info=small)
        period = 1 / (info.rate * info.time_base)
        self._times = [round(i * period) for i in range(_FRAMES + 1)]
        encoder = PacketEncoder(self._settings)
        # Alike, but not the same, as the frames of a video are.
        depth = np.uint8 if info.color.bits == 8 else np.uint16
        shades = np.linspace(0, np.iinfo(depth).max, small.width * 3).astype(depth)
        image = np.tile(shades.reshape(1, -1, 3), (small.height, 1, 1))
        self._records: list[Record] = []
        for i, time in enumerate(self._times[:-1]):
            self._records += encoder.encode(np.roll(image, i, 1), time)
        self._records += encoder.finish()

    def write(self, plan: OutputPlan) -> tuple[BytesIO, str | None]:
        """Write a small file; returns it and what is wrong with it."""
        file = BytesIO()
        codec = av.codec.Codec(self._settings.codec, 'w').canonical_name
        if codec.startswith(plan.container.foreign):
            return file, f'few players find {codec} in them'
        plan = replace(plan, settings=self._settings, lead=Fraction(0))
        try:
            muxer = Muxer(file, plan, TimeRange())
            try:
                times = [record.time for record in self._records]
                muxer.write(self._records, times, self._times[-1], _first_packets(plan))
            finally:
                muxer.close()
        except EncodingError as error:
            return file, getattr(error.__cause__, 'strerror', None) or str(error)
        # A stream whose decoder fails on it can still be copied.
        expected = replace(muxer.expected, audible=self._audible(plan))
        return file, find_fault(file, expected, thorough=True)

    def _audible(self, plan: OutputPlan) -> bool:
        if plan.source is None:
            return True
        with open_video(plan.source.path) as container:
            sounds = [s for s in container.streams.audio if s.index in plan.copied]
            return all(decodes(container, stream) for stream in sounds)

    def kept(self, plan: OutputPlan) -> list[str]:
        """Return which of chapters and time code a written file keeps."""
        file, fault = self.write(plan)
        if fault:
            return []
        with open_again(file) as container:
            there = {'chapters': container.chapters(), 'time code': has_time_code(container)}
            return [name for name, found in there.items() if found]

    def fault(self, plan: OutputPlan) -> str | None:
        """Return what would be wrong with a file; None if nothing."""
        return self.write(plan)[1]

    def another(self, plan: OutputPlan) -> str:
        """Suggest a container that would hold the same, if there is one."""
        for suffix in _ROOMY:
            other = replace(plan, suffix=suffix, container=container_of(suffix), attached=())
            if suffix != plan.suffix and self.fault(other) is None:
                return f'write an {suffix} file, or '
        return ''


def _small(side: int) -> int:
    """Return a small side that is odd where the large one is."""
    return side if side <= _SIDE else _SIDE + side % 2


def _first_packets(plan: OutputPlan) -> Iterator[Timed]:
    """Yield the first packets of the streams that are kept, as if all of them started at 0."""
    wanted = {*plan.copied, *plan.converted}
    if plan.source is None or not wanted:
        return
    starts: dict[int, int] = {}
    last: dict[int, Fraction] = {}
    counts = dict.fromkeys(wanted, 0)
    with open_video(plan.source.path) as container:
        for packet in islice(readable(container.demux()), _SEARCHED):
            index = packet.stream_index
            stamp = packet.pts if packet.dts is None else packet.dts
            if packet.is_discard or stamp is None or counts.get(index, _PACKETS) >= _PACKETS:
                continue
            counts[index] += 1
            time = (stamp - starts.setdefault(index, stamp)) * packet.time_base
            # Up to where the clock jumps.
            if 0 < time - last.get(index, time - 1) <= 1 and time < 1:
                last[index] = time
                yield Timed(time, packet)
            if min(counts.values()) >= _PACKETS:
                return


def _with_streams(plan: OutputPlan, source: SourceStreams, rehearsal: _Rehearsal) -> OutputPlan:
    """Decide for each stream of the source what becomes of it."""
    left_out = []
    with open_video(source.path) as container:
        chapters, time_code = bool(container.chapters()), has_time_code(container)
        for stream in _beside(source, container):
            if stream.type in ('audio', 'subtitle') and source.timeline.copied.get(stream.index):
                plan = _with_stream(plan, source, stream, rehearsal)
                if stream.type == 'audio':
                    plan = _with_lead(plan, source)
            elif stream.type == 'attachment' and plan.container.attachments:
                plan = replace(plan, attached=(*plan.attached, stream.index))
            else:
                left_out.append(_name(stream))
    if len(plan.copied) + len(plan.converted) > 1 and (fault := rehearsal.fault(plan)):
        raise EncodingError(
            f'{plan.suffix} files do not hold all streams of {source.path} together ({fault}): '
            f'{rehearsal.another(plan)}leave some out with --without'
        )
    plan = replace(plan, chapters=chapters)
    if chapters or time_code:
        kept = rehearsal.kept(plan)
        left_out += [
            name
            for name, there in (('chapters', chapters), ('time code', time_code))
            if there and name not in kept
        ]
        plan = replace(plan, chapters='chapters' in kept)
    return replace(plan, left_out=(*plan.left_out, *left_out))


def _with_lead(plan: OutputPlan, source: SourceStreams) -> OutputPlan:
    """Start as much earlier as the sound does."""
    lead = source.timeline.lead
    if not plan.container.even:
        return replace(plan, lead=lead)
    what = f'{float(lead):.2f} s of sound from before the first frame'
    if lead > 1:
        raise EncodingError(
            f'{plan.suffix} files do not hold the {what} that {source.path} has: write an .mkv '
            'file, or leave it out with --without audio'
        )
    return replace(plan, left_out=(*plan.left_out, what)) if lead > 2 * _PAUSE else plan


def _is_broken(times: Sequence[int], stream: av.stream.Stream) -> bool:
    """Whether sound starts after the video or has pauses."""
    pause = round(_PAUSE / (stream.time_base or 1))
    steps = [b - a for a, b in pairwise(times)]
    return times[0] > pause or max(steps, default=0) > 2 * median(steps or [0]) + pause


def streams_beside(source: SourceStreams) -> list[str]:
    """Name all that lies beside the frames, for where none of it is kept."""
    with open_video(source.path) as container:
        names = [_name(stream) for stream in _beside(source, container)]
        names += ['chapters'] * bool(container.chapters())
        names += ['time code'] * has_time_code(container)
    return [f'not in the output: {name}' for name in names]


def _beside(
    source: SourceStreams, container: av.container.InputContainer
) -> Iterator[av.stream.Stream]:
    """Yield the streams but for the video, and those that are not wanted."""
    main = video_stream(container, source.path)
    chapters = container.chapters()
    for stream in container.streams:
        # Chapters and time codes of MP4 are streams too.
        told = stream.type == 'data' and (
            bool(chapters and stream.frames == len(chapters)) or _has_time_code(stream)
        )
        if stream.index != main.index and stream.type not in source.without and not told:
            yield stream


def has_time_code(container: av.container.InputContainer) -> bool:
    """Whether a file says at which time code it starts."""
    return any(_has_time_code(stream) for stream in container.streams)


def _has_time_code(stream: av.stream.Stream) -> bool:
    return any(key.lower() == 'timecode' for key in stream.metadata)


def _name(stream: av.stream.Stream) -> str:
    if stream.type == 'attachment':
        return f'stream {stream.index} (attachment, {stream.name})'
    return f'stream {stream.index} ({stream.type}, {codec_name(stream)})'


def _with_stream(
    plan: OutputPlan, source: SourceStreams, stream: av.stream.Stream, rehearsal: _Rehearsal
) -> OutputPlan:
    """Copy a stream, or else convert it."""
    if stream.codec_context is None:
        raise EncodingError(
            f'{source.path} stream {stream.index} ({stream.type}) has a codec without a decoder in '
            f'this FFmpeg, so it cannot be copied: leave out all {stream.type} with --without '
            f'{stream.type}'
        )
    foreign = codec_name(stream).startswith(plan.container.foreign)
    if plan.container.even and stream.type == 'audio':
        foreign = foreign or _is_broken(source.timeline.copied[stream.index], stream)
    alone = replace(plan, copied=(stream.index,), converted={})
    fault = 'not as it is' if foreign else rehearsal.fault(alone)
    if fault is None:
        return replace(plan, copied=(*plan.copied, stream.index))
    encoder: str | None = plan.container.sound
    if stream.type == 'subtitle':
        is_text = codec_name(stream) in TEXT_SUBTITLES
        encoder = plan.container.subtitles if is_text else None
    if encoder is not None:
        converted = {stream.index: encoder}
        if rehearsal.fault(replace(plan, copied=(), converted=converted)) is None:
            return replace(
                plan,
                converted={**plan.converted, **converted},
                notes=(*plan.notes, f'{_name(stream)} is converted: {encoder}'),
            )
    advice = rehearsal.another(alone)
    if not advice:
        # It is the stream's fault and not the container's.
        advice = f'nor do others ({fault}). If it is damaged, '
    raise EncodingError(
        f'{plan.suffix} files do not hold {codec_name(stream)}, the codec of '
        f'{source.path} stream {stream.index} ({stream.type}): '
        f'{advice}leave it out with --without {stream.type}'
    )
