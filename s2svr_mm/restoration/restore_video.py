# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restore a file to a file: finished segments are kept, and the output appears when complete."""

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from ..errors import ConfigError, DataError
from ..io.clips import open_reader
from ..io.encoding import EncoderSettings, choose_encoder
from ..io.output_plan import SourceStreams, TimeRange
from ..io.packet_log import read_timeline
from ..io.reader import Frame, Reader, VideoInfo
from ..io.sizes import first_size_change
from ..io.video import VideoReader
from ..models.zoo import load_model
from ..utils.files import disk_errors
from ..utils.memory import peak_device_memory, peak_host_memory
from ..utils.output_state import OutputState
from .checks import Target, check_outputs, checked_range
from .claims import Arrival, Claims, FinishedElsewhereError, Worker, assembling
from .options import OutputOptions
from .output_size import default_model
from .planning import CHECK_FRAMES, Decision
from .restorer import VideoRestorer
from .resume import Beginning, Ending, ResumeFolder
from .scene_cuts import REACH
from .segments import SegmentJob, Stretch, check_segments, restore_segments
from .sinks import COMPARISONS, FolderSink, VideoSink
from .summary import Summary, joined
from .windows import Segments

SIZE_CHANGES = ('stop', 'split', 'scale')


def restore_video(
    src: str | Path,
    dst: str | Path,
    model: str | nn.Module | VideoRestorer | None = None,
    *,
    frames: tuple[int, int | None] = (0, None),
    options: OutputOptions | None = None,
    rate: Fraction | None = None,
    yuv_size: tuple[int, int] | None = None,
    size_change: str = 'stop',
    strict: bool = False,
    progress: bool = True,
    **settings: Any,
) -> Summary:
    """Restore a video file, a folder of frames, a glob or raw YUV.

    The output appears under its name when it is whole; a folder that exists is written into. Until
    then what is done lies in ``<dst>.parts``; after an interruption, a call with the same
    arguments resumes there.

    Args:
        src (str | Path): See :func:`.io.clips.open_reader`.
        dst (str | Path): A video file, or a folder (a name without suffix) for PNG frames.
        model (str | nn.Module | VideoRestorer): Name of a bundled model, a network, or a network
            with its settings. Defaults to None, the bundled one for the ``size`` among the
            settings; see :func:`.default_model`.
        frames (tuple[int, int | None]): First frame and the one after the last; None for the end.
            Defaults to all.
        options (OutputOptions, optional): How to write the output. Defaults to None: codec, pixel
            format and rate follow the source.
        rate (Fraction, optional): Frames per second of frames and raw YUV. Defaults to None, 25.
        yuv_size (tuple[int, int], optional): (width, height) of a YUV file. Defaults to None, as
            its name says.
        size_change (str): What becomes of a video whose frames change their size: 'stop' refuses
            it, or ends before the change if that is found on the way; 'split' restores what
            follows into files of its own (``out.2.mp4``); 'scale' brings all frames to the size of
            the first one. Defaults to 'stop'.
        strict (bool): Whether to refuse a video with damaged frames, instead of restoring them as
            the decoder conceals them. Defaults to False.
        progress (bool): Whether to show a progress bar. Defaults to True.
        **settings: Arguments of :class:`VideoRestorer`, unless ``model`` is one.

    Returns:
        Summary: What was done.

    Raises:
        ConfigError: An argument is not valid.
        DataError: The input can't be used.
        OutputError: The output can't be written, or must not be.
        EncodingError: The encoder or the container does not take the frames.
    """
    source = Source(str(src), frames, rate, yuv_size, size_change, strict)
    restorer = restorer_of(model, settings, source.open().info.size if model is None else None)
    summary = restore_source(source, Target.of(dst), restorer, options or OutputOptions(), progress)
    assert summary is not None
    return summary


@dataclass(frozen=True)
class Source:
    """What is to be restored; the attributes are arguments of :func:`restore_video`.

    Raises:
        ConfigError: ``size_change`` is unknown.
    """

    src: str
    frames: tuple[int, int | None] = (0, None)
    rate: Fraction | None = None
    yuv_size: tuple[int, int] | None = None
    size_change: str = 'stop'
    strict: bool = False

    def __post_init__(self) -> None:
        if self.size_change not in SIZE_CHANGES:
            raise ConfigError(
                f'size_change is one of {", ".join(SIZE_CHANGES)}, got {self.size_change!r}'
            )

    def open(self) -> Reader:
        """Open the input."""
        return open_reader(self.src, self.rate, self.yuv_size, self.strict)


def restore_source(
    source: Source,
    target: Target,
    restorer: VideoRestorer,
    options: OutputOptions,
    progress: bool | tqdm = True,
    worker: Worker | None = None,
    before: OutputState | None = None,
) -> Summary | None:
    """Restore as :func:`restore_video` does, alone or together with other processes.

    Args:
        source (Source): The input.
        target (Target): The main output.
        restorer (VideoRestorer): The network with its settings.
        options (OutputOptions): How to write.
        progress (bool | tqdm): Whether to show a progress bar, or a bar to update. Defaults to
            True.
        worker (Worker, optional): This process among those that restore this output together.
            Defaults to None: it does so alone.
        before (OutputState, optional): What was at the output's place when this process was
            started. Defaults to None: what is there now.

    Returns:
        Summary | None: What was done; None if another process has made the output.
    """
    reader = source.open()
    start, stop = checked_range(reader, source.frames)
    if source.size_change == 'stop':
        _check_sizes(reader, start, stop)
    # Frames of images and raw YUV follow one another in steps of one tick.
    timeline = None
    if isinstance(reader, VideoReader):
        timeline = read_timeline(reader.path, reader.stamps)
    restored: list[_Restored] = []
    following: int | None = start
    try:
        with ExitStack() as stack:
            while following is not None:
                stretch = Stretch(reader, following, stop, timeline, source.size_change == 'scale')
                number = len(restored) + 1
                output, opts = target.numbered(number), _numbered(options, number)
                arrival = Arrival(output.path, worker, before if number == 1 else None)
                if restored and not restored[0].parts.has_begun:
                    raise FinishedElsewhereError
                if not arrival.joins(opts.overwrite):
                    check_outputs(reader, (following, stop), output, opts)
                parts = stack.enter_context(ResumeFolder(output.path, worker is not None))
                done = _restore_stretch(restorer, stretch, parts, output, opts, progress, arrival)
                restored.append(done)
                following = done.ending.next_frame if source.size_change == 'split' else None
            summaries = [_finish(restorer, done, source.size_change) for done in restored]
    except FinishedElsewhereError:
        return None
    return joined(summaries)


def _check_sizes(reader: Reader, start: int, stop: int | None) -> None:
    frame = first_size_change(reader, start, stop)
    if frame is not None:
        raise DataError(
            f'{_change(reader, start, frame)}. Give --size-change split for an output of each '
            'size, --size-change scale for one of the first size, or restore the parts one by one: '
            f'--frames {start}:{frame}, then --frames {frame}: into another output'
        )


def _change(reader: Reader, start: int, frame: int) -> str:
    before, after = reader.info_at(start), reader.info_at(frame)
    return (
        f'{reader.place(frame)} is {after.width}x{after.height}, those before '
        f'{before.width}x{before.height}'
    )


def restorer_of(
    model: str | nn.Module | VideoRestorer | None,
    settings: dict[str, Any],
    frame: tuple[int, int] | None = None,
) -> VideoRestorer:
    """Return the VideoRestorer for a ``model`` and settings of :func:`restore_video`.

    Args:
        model (str | nn.Module | VideoRestorer, optional): See :func:`restore_video`.
        settings (dict[str, Any]): Arguments of :class:`VideoRestorer`, unless ``model`` is one.
        frame (tuple[int, int], optional): Height and width of the input, by which the default is
            chosen. Defaults to None, several inputs.
    """
    if model is None:
        model = default_model(settings.get('size'), frame)
    if not isinstance(model, VideoRestorer):
        network = load_model(model) if isinstance(model, str) else model
        return VideoRestorer(network, **settings)
    if settings:
        raise ConfigError(f'{", ".join(settings)}: give these to the VideoRestorer')
    return model


def _numbered(options: OutputOptions, number: int) -> OutputOptions:
    if options.compare is None:
        return options
    return replace(options, compare=str(Target.of(options.compare).numbered(number).path))


@dataclass(frozen=True)
class _Restored:
    """A stretch whose frames are all restored; what is left is to make the output of them."""

    stretch: Stretch
    parts: ResumeFolder
    sinks: Sequence[VideoSink | FolderSink]
    beginning: Beginning
    ending: Ending
    resumed: int
    seconds: float
    restoring: float


def _restore_stretch(
    restorer: VideoRestorer,
    stretch: Stretch,
    parts: ResumeFolder,
    target: Target,
    options: OutputOptions,
    progress: bool | tqdm,
    arrival: Arrival,
) -> _Restored:
    """Restore frames of one size, or find that they are restored."""
    began = time.monotonic()
    with _kept(parts):
        arguments = _arguments(restorer, stretch, options)
        with parts.alone() as alone:
            if not parts.has_begun and arrival.is_late():
                raise FinishedElsewhereError
            beginning = parts.resume(arguments, options.overwrite and alone)
            first: list[Frame] = []
            if beginning is None:
                first = stretch.reader.first_frames(stretch.start, stretch.stop, CHECK_FRAMES)
            size = beginning.size if beginning else (first[0].rgb.shape[0], first[0].rgb.shape[1])
            sinks = _sinks(restorer, stretch, size, parts.folder, target, options)
            if beginning is None:
                decision = restorer.decide([frame.rgb for frame in first])
                beginning = Beginning(decision, size)
                parts.begin(arguments, beginning)
            reach = REACH if restorer.settings.scene_cuts else 0
            segments = Segments.of(beginning.decision.plan, options.segment, reach)
            check_segments(stretch, sinks, parts, segments, discard=alone)
        claims = Claims(parts, sinks, segments, stretch.num_frames, arrival.worker or Worker())
        resumed = claims.frames_done
        restoring = time.monotonic()
        with _bar(stretch, resumed, beginning.decision, restorer, progress) as bar:
            claims.on_found = bar.update
            job = SegmentJob(restorer, stretch, sinks, parts, beginning, claims, bar)
            ending = restore_segments(job)
    ended = time.monotonic()
    times = ended - began, ended - restoring
    return _Restored(stretch, parts, sinks, beginning, ending, resumed, *times)


def _finish(restorer: VideoRestorer, done: _Restored, size_change: str) -> Summary:
    """Make the outputs of a stretch; the main one last."""
    began = time.monotonic()
    stretch, beginning, ending = done.stretch, done.beginning, done.ending
    base = stretch.reader.info.time_base
    cut_off = stretch.stop is not None or ending.damage or ending.next_frame is not None
    cut = TimeRange(stretch.time(stretch.start) * base, ending.end_time * base if cut_off else None)
    notes: list[str] = []
    with _kept(done.parts), assembling(done.parts):
        for sink in done.sinks:
            # The main output is the last one.
            notes = sink.assemble(ending.segments, ending.end_time, cut)
        done.parts.clear()
    encoder = next((s.settings for s in reversed(done.sinks) if isinstance(s, VideoSink)), None)
    height, width = beginning.size
    new_height, new_width = restorer.output_size(height, width)
    return Summary(
        outputs=[str(sink.output) for sink in reversed(done.sinks)],
        frames=ending.frames,
        resumed=done.resumed,
        seconds=done.seconds + time.monotonic() - began,
        restoring=done.restoring,
        size=(width, height),
        output_size=(new_width, new_height),
        decision=beginning.decision,
        device=str(restorer.device),
        host_peak=peak_host_memory(),
        device_peak=peak_device_memory(restorer.device),
        encoder=f'{encoder.codec}, {encoder.pix_fmt}' if encoder else '',
        cuts=[(cut, float(stretch.time(cut) * base)) for cut in ending.cuts],
        damage=_damage(done) if size_change == 'stop' else ending.damage,
        notes=[
            *beginning.decision.notes,
            *stretch.reader.notes,
            *([ending.flaws] if ending.flaws else []),
            *([f'{ending.resized} frames were scaled to that size'] if ending.resized else []),
            *(stretch.timeline.notes if stretch.timeline else ()),
            *notes,
        ],
    )


def _damage(done: _Restored) -> str | None:
    """Return what is missing in an output that stops where the frames' size changes."""
    stretch, frame = done.stretch, done.ending.next_frame
    if frame is None:
        return done.ending.damage
    advice = (
        f'{_change(stretch.reader, stretch.start, frame)}, and nothing from there on is in the '
        f'output. --frames {frame}: restores the rest into another one; --size-change split does '
        'that by itself, --size-change scale brings all frames to the size of the first'
    )
    return ' '.join(filter(None, (done.ending.damage, advice)))


def _kept(parts: ResumeFolder) -> AbstractContextManager[None]:
    return disk_errors(parts.folder, 'What is done is kept there')


def _arguments(restorer: VideoRestorer, stretch: Stretch, options: OutputOptions) -> dict[str, Any]:
    """All that the result depends on, but for the frames."""
    return {
        'first frame': stretch.start,
        'resize': stretch.resize,
        'fps': str(stretch.reader.info.rate),
        **restorer.fingerprint(),
        'codec': [options.codec, options.crf, options.preset, options.pix_fmt],
        'without': list(options.without),
        'compare': [options.compare, options.compare_mode],
        'segment': options.segment,
    }


def _sinks(
    restorer: VideoRestorer,
    stretch: Stretch,
    size: tuple[int, int],
    parts: Path,
    target: Target,
    options: OutputOptions,
) -> list[VideoSink | FolderSink]:
    """Where frames go; the main output is the last one."""
    info, streams = replace(stretch.reader.info, height=size[0], width=size[1]), None
    if stretch.timeline is not None:
        info = replace(info, rate=stretch.timeline.rate(info.rate))
        streams = SourceStreams(stretch.reader.path, stretch.timeline, options.without)
    info = info.resized(*restorer.output_size(*size))
    sinks: list[VideoSink | FolderSink] = []
    if options.compare:
        path = Path(options.compare)
        shown = replace(info, width=info.width * (1 + (options.compare_mode == 'side')))
        encoder = _encoder(shown, path, options)
        compose = COMPARISONS[options.compare_mode]
        folder = parts / 'compare'
        sinks.append(VideoSink(folder, path, encoder, streams, compose))
    if target.is_folder:
        sinks.append(FolderSink(parts / 'output', target.path, options.overwrite, streams))
    else:
        encoder = _encoder(info, target.path, options)
        folder = parts / 'output'
        sinks.append(VideoSink(folder, target.path, encoder, streams))
    return sinks


def _encoder(info: VideoInfo, path: Path, options: OutputOptions) -> EncoderSettings:
    return choose_encoder(
        info,
        path.suffix.lower(),
        codec=options.codec,
        crf=options.crf,
        preset=options.preset,
        pix_fmt=options.pix_fmt,
    )


def _bar(
    stretch: Stretch, done: int, decision: Decision, restorer: VideoRestorer, show: bool | tqdm
) -> AbstractContextManager[tqdm]:
    if isinstance(show, tqdm):
        show.update(done)
        return nullcontext(show)
    total = stretch.num_frames
    if show:
        # The bar moves window by window, which may take a while.
        print(f'{decision} on {restorer.device}', file=sys.stderr, flush=True)
    return tqdm(total=total, initial=done, unit='frame', disable=not show)
