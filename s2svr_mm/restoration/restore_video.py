# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""From a file to a file: decoding, the network and encoding side by side, kept as it goes."""

import errno
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..errors import DataError, OutputError
from ..io.clips import open_reader
from ..io.encoding import EncoderSettings, choose_encoder
from ..io.muxing import SourceStreams, TimeRange
from ..io.packet_log import read_timeline
from ..io.paths import IMAGE_SUFFIXES
from ..io.reader import Frame, Reader, VideoInfo
from ..utils.memory import peak_device_memory, peak_host_memory
from ..version import __version__
from .restorer import VideoRestorer
from .resume import ResumeFolder, check_output
from .sinks import COMPARISONS, FolderSink, Sink, VideoSink
from .threads import BackgroundCalls, Prefetcher
from .windows import TilingPlan

# Frames that a stopped run loses at most, about: shorter segments cost bits, for each starts with
# a keyframe.
SEGMENT_FRAMES = 48
_FRAMES_AHEAD = 4
_FIRST_FRAMES = 8


@dataclass(frozen=True)
class OutputOptions:
    """How the output is written. What is None is chosen by the source and the file's name.

    Attributes:
        codec (str, optional): Name of a video encoder, such as 'libx265'.
        crf (float, optional): Quality, lower is better.
        preset (str, optional): The encoder's preset.
        pix_fmt (str, optional): Pixel format, such as 'yuv420p10le'.
        without (tuple[str, ...]): Kinds of streams to leave out: 'audio', 'subtitle'.
        compare (str, optional): A second video that shows input and output.
        compare_mode (str): 'side' or 'split'.
        overwrite (bool): Whether older outputs may be replaced.
        segment (int): Frames after which what is done is kept for good, about.
    """

    codec: str | None = None
    crf: float | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    without: tuple[str, ...] = ()
    compare: str | None = None
    compare_mode: str = 'side'
    overwrite: bool = False
    segment: int = SEGMENT_FRAMES


@dataclass
class Summary:
    """What was done.

    Attributes:
        outputs (list[str]): Files or folders written.
        frames (int): Frames of the output.
        resumed (int): How many of them an earlier run had restored.
        seconds (float): How long this run took.
        restoring (float): How much of it went from the first frame read to the last one encoded.
        size (tuple[int, int]): Width and height of the input.
        scale (int): Size of the output over that of the input.
        plan (TilingPlan): Windows and tiles.
        dtype (str): 'float32' or 'bfloat16'.
        device (str): Where the network ran.
        host_peak (int): Peak of main memory, bytes.
        device_peak (int): Peak of the GPU's memory, bytes; 0 on a CPU.
        encoder (str): Encoder and pixel format; empty for frames.
        damage (str, optional): What is wrong with the input; only its good part was restored.
        notes (list[str]): What else there is to know.
    """

    outputs: list[str]
    frames: int
    resumed: int
    seconds: float
    restoring: float
    size: tuple[int, int]
    scale: int
    plan: TilingPlan
    dtype: str
    device: str
    host_peak: int
    device_peak: int
    encoder: str
    damage: str | None
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        width, height = self.size
        fresh = self.frames - self.resumed
        lines = [
            f'{self.frames} frames {width}x{height} -> {width * self.scale}x{height * self.scale}'
            f' in {", ".join(self.outputs)}' + (f' ({self.encoder})' if self.encoder else ''),
            f'{fresh} restored in {self.seconds:.1f} s, {fresh / max(self.restoring, 1e-9):.2f} '
            'frames/s' + (f'; {self.resumed} were there from an earlier run' * bool(self.resumed)),
            _way(self.plan, self.dtype, self.device),
            f'peak memory {self.host_peak / 2**20:.0f} MB'
            + (f', GPU {self.device_peak / 2**20:.0f} MB' if self.device_peak else ''),
            *(f'note: {note}' for note in self.notes),
        ]
        if self.damage:
            lines.append(f'warning: only the good part was restored. {self.damage}')
        return '\n'.join(lines)


def _way(plan: TilingPlan, dtype: str, device: object) -> str:
    tile = f'tiles of {plan.tile}' if plan.tile else 'whole frames'
    return f'windows of {plan.window} frames, overlap {plan.overlap}; {tile}; {dtype} on {device}'


def restore_file(
    restorer: VideoRestorer,
    src: str,
    dst: str,
    frames: tuple[int, int | None] = (0, None),
    options: OutputOptions | None = None,
    rate: Fraction | None = None,
    yuv_size: tuple[int, int] | None = None,
    progress: bool = True,
) -> Summary:
    """Restore a video file, a folder of frames, a glob or raw YUV.

    The output appears under its name when it is whole. Until then what is done lies in
    ``<dst>.parts``; after an interruption, a call with the same arguments goes on from there.

    Args:
        restorer (VideoRestorer): The network with its settings.
        src (str): See :func:`.io.clips.open_reader`.
        dst (str): A video file, or a folder (a name without suffix) for PNG frames.
        frames (tuple): First frame and the one after the last; None for the end.
        options (OutputOptions, optional): How to write.
        rate (Fraction, optional): Frames per second of frames and raw YUV.
        yuv_size (tuple[int, int], optional): (width, height) of a YUV file.
        progress (bool): Whether to show a progress bar.

    Returns:
        Summary: What was done.

    Raises:
        DataError: The input can't be used.
        OutputError: The output can't be written, or must not be.
        EncodingError: The encoder or the container does not take the frames.
    """
    options = options or OutputOptions()
    output = Path(dst)
    compare = Path(options.compare) if options.compare else None
    source = open_reader(src, rate, yuv_size)
    _check_outputs(source, output, compare, options)
    start, stop = _checked_range(source, frames)
    parts = ResumeFolder(output)
    try:
        job = _Job(restorer, source, start, stop, output, compare, options, parts, progress)
        return job.run()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise OutputError(
            f'{parts.folder}: {error.strerror or "no space left"}. What is done is kept there: '
            'make room and call the same again'
        ) from error
    finally:
        parts.close()


def _check_outputs(
    source: Reader, output: Path, compare: Path | None, options: OutputOptions
) -> None:
    read = [*source.files(), *([source.path] if Path(source.path).exists() else [])]
    for path in filter(None, (output, compare)):
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise OutputError(f'{path}: frames are written to a folder; give its name')
        check_output(path, read, options.overwrite)
        if path.exists() and path.is_dir() != (not path.suffix):
            kind = 'a folder' if path.is_dir() else 'a file'
            raise OutputError(f'{path} is {kind} already and is not replaced by the other kind')
    if compare is not None and not compare.suffix:
        raise OutputError(f'{compare}: the comparison is a video; give it a name such as cmp.mp4')
    if compare is not None and compare.absolute() == output.absolute():
        raise OutputError(f'{compare} is both the output and the comparison')


def _checked_range(source: Reader, frames: tuple[int, int | None]) -> tuple[int, int | None]:
    start, stop = frames
    if start < 0 or (stop is not None and stop <= start):
        raise DataError(f'--frames {start}:{"" if stop is None else stop} holds no frames')
    if source.num_frames is not None and start >= source.num_frames:
        raise DataError(
            f'{source.path} has {source.num_frames} frames, so none from {start} on (they count '
            'from 0)'
        )
    return start, stop


class _Job:
    """One call of :func:`restore_file`."""

    def __init__(
        self,
        restorer: VideoRestorer,
        source: Reader,
        start: int,
        stop: int | None,
        output: Path,
        compare: Path | None,
        options: OutputOptions,
        parts: ResumeFolder,
        progress: bool,
    ) -> None:
        self.restorer, self.source, self.parts = restorer, source, parts
        self.start, self.stop = start, stop
        self.options, self.progress = options, progress
        self.outputs = {'compare': compare} if compare else {}
        self.outputs['output'] = output
        self.encoder = ''
        self.info, self.timeline = source.info, None
        if source.has_streams:
            self.timeline = read_timeline(source.path, source.num_frames)
            self.info = replace(self.info, rate=self.timeline.rate(self.info.rate))

    def run(self) -> Summary:
        began = time.monotonic()
        decided = self.parts.resume(self._arguments(), self.options.overwrite)
        sinks = self._sinks()
        if decided is None:
            decided = self._decide()
            self.parts.begin(self._arguments(), decided)
        plan = TilingPlan(**decided['plan'])
        # Windows of a segment.
        length = math.ceil(self.options.segment / plan.step)
        done = 0
        while all(sink.has_segment(done) for sink in sinks.values()):
            done += 1
        resumed, restoring = plan.frames_before(done * length), time.monotonic()
        if self.parts.end is None or done < self.parts.end['segments']:
            self._restore(list(sinks.values()), plan, decided, done, length, resumed)
        else:
            resumed = self.parts.end['frames']
        restoring = time.monotonic() - restoring
        end = self.parts.end
        notes = [*decided['notes'], *self._assemble(sinks, decided, end)]
        self.parts.remove()
        height, width = self.source.info.height, self.source.info.width
        return Summary(
            outputs=[str(path) for path in reversed(self.outputs.values())],
            frames=end['frames'],
            resumed=resumed,
            seconds=time.monotonic() - began,
            restoring=restoring,
            size=(width, height),
            scale=self.restorer.scale,
            plan=plan,
            dtype=decided['dtype'],
            device=str(self.restorer.device),
            host_peak=peak_host_memory(),
            device_peak=peak_device_memory(self.restorer.device),
            encoder=self.encoder,
            damage=end['damage'],
            notes=notes,
        )

    def _arguments(self) -> dict[str, Any]:
        """All that the result depends on."""
        options = self.options
        return {
            'input': self.source.fingerprint(),
            'weights': self.restorer.fingerprint(),
            'version': __version__,
            'frames': [self.start, self.stop],
            'fps': str(self.source.info.rate),
            'size': [self.source.info.width, self.source.info.height],
            **self.restorer.settings(),
            'codec': [options.codec, options.crf, options.preset, options.pix_fmt],
            'without': list(options.without),
            'compare': [options.compare, options.compare_mode],
            'segment': options.segment,
        }

    def _decide(self) -> dict[str, Any]:
        """What depends on this machine at this moment, and must not change when resuming."""
        info = self.source.info
        pictures = list(islice(self.source.iterate(self.start, self.stop), _FIRST_FRAMES))
        if not pictures:
            raise DataError(
                f'{self.source.path} has no frame {self.start}. {self.source.damage or ""}'
            )
        rgbs = [picture.rgb for picture in pictures]
        plan = self.restorer.plan(info.height, info.width, rgbs[0].itemsize)
        return {
            'plan': asdict(plan),
            'dtype': self.restorer.choose_dtype(rgbs),
            'notes': self.restorer.notes,
        }

    def _time(self, index: int) -> int:
        """When a frame is shown, ticks from the source's first one."""
        return index if self.timeline is None else self.timeline.time(index)

    def _sinks(self) -> dict[str, Sink]:
        sinks: dict[str, Sink] = {}
        info, scale = self.info, self.restorer.scale
        streams = None
        if self.timeline is not None:
            streams = SourceStreams(self.source.path, self.timeline, self.options.without)
        for name, path in self.outputs.items():
            folder = self.parts.folder / name
            if not path.suffix:
                sinks[name] = FolderSink(folder, streams)
                continue
            beside = name == 'compare' and self.options.compare_mode == 'side'
            settings = self._encoder_for(path, info.scaled(scale, 2 if beside else 1))
            compose = COMPARISONS[self.options.compare_mode] if name == 'compare' else None
            sinks[name] = VideoSink(folder, path, settings, streams, compose)
            self.encoder = f'{settings.codec}, {settings.pix_fmt}'
        return sinks

    def _encoder_for(self, path: Path, info: VideoInfo) -> EncoderSettings:
        options = self.options
        return choose_encoder(
            info,
            path.suffix.lower(),
            codec=options.codec,
            crf=options.crf,
            preset=options.preset,
            pix_fmt=options.pix_fmt,
        )

    def _restore(
        self,
        sinks: Sequence[Sink],
        plan: TilingPlan,
        decided: dict[str, Any],
        segment: int,
        length: int,
        resumed: int,
    ) -> None:
        """Restore from a segment on, and write down the end."""
        # The window before is restored once more, for it fades into the next one.
        window = segment * length - 1 if segment else 0
        first = self.start + window * plan.step
        context = resumed - window * plan.step
        pending: deque[Frame] = deque()
        last: Frame | None = None
        frames = resumed
        with ExitStack() as stack:
            for sink in sinks:
                stack.callback(sink.abandon)
            bar = stack.enter_context(self._bar(resumed, plan, decided['dtype']))
            source = Prefetcher(self.source.iterate(first, self.stop), _FRAMES_AHEAD)
            stack.callback(source.close)
            writer = BackgroundCalls(plan.step)
            stack.callback(writer.abandon)

            def each(call: Callable[[Sink], object]) -> None:
                writer.add(lambda: [call(sink) for sink in sinks])

            def arriving() -> Iterator[Any]:
                for index, picture in enumerate(source):
                    if index >= context:
                        pending.append(replace(picture, time=self._time(picture.index)))
                    yield picture.rgb

            restored = self.restorer.restore_windows(
                arriving(), plan, decided['dtype'], resumed=bool(segment)
            )
            for number, window in enumerate(restored, segment * length):
                if number % length == 0:
                    if number > segment * length:
                        each(lambda sink: sink.finish())
                    each(lambda sink, n=number // length: sink.start(n))
                for image in window:
                    last = pending.popleft()
                    each(partial(_write, last, image))
                    writer.add(bar.update)
                frames += len(window)
                segments = number // length + 1
            if last is None:
                raise DataError(f'{self.source.path} ends before frame {first}.')
            each(lambda sink: sink.finish())
            writer.finish()
        self.parts.set_end(
            segments=segments,
            frames=frames,
            end_time=self._time(last.index + 1),
            damage=self.source.damage,
        )

    def _bar(self, done: int, plan: TilingPlan, dtype: str) -> tqdm:
        total = self.source.num_frames
        if total is not None:
            total = (total if self.stop is None else min(total, self.stop)) - self.start
        if self.progress:
            # The bar moves window by window, which may take a while.
            print(_way(plan, dtype, self.restorer.device), file=sys.stderr, flush=True)
        return tqdm(total=total, initial=done, unit='frame', disable=not self.progress)

    def _assemble(
        self, sinks: dict[str, Sink], decided: dict[str, Any], end: dict[str, Any]
    ) -> list[str]:
        """Make the outputs; the main one last. Returns notes."""
        base = self.info.time_base
        cut_off = self.stop is not None or end['damage'] is not None
        cut = TimeRange(self._time(self.start) * base, end['end_time'] * base if cut_off else None)
        notes = [] if self.timeline is None else list(self.timeline.notes)
        for name, sink in sinks.items():
            more = sink.assemble(self.outputs[name], end['segments'], end['end_time'], cut)
        return [*notes, *more]


def _write(picture: Frame, image: Any, sink: Sink) -> None:
    sink.write(picture, image)
