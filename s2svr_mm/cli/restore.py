# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr restore``: restore a video, a folder of frames or raw YUV."""

import argparse
import glob
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoints.shipped import DEFAULT_MODEL, describe_models
from ..errors import ConfigError, DataError
from ..restoration.defaults import SEGMENT_FRAMES
from ..utils.output_state import OutputState
from .arguments import (
    add_model,
    add_quiet,
    add_restorer,
    frame_range,
    frame_rate,
    frame_size,
    load_restorer,
    memory_size,
    number,
    output_size,
    scale,
    whole_number,
)
from .pipes import PIPE, run_pipe
from .reporting import EXIT_DAMAGED
from .workers import Place, add_workers, device_of, place_of, run_on

if TYPE_CHECKING:
    from ..restoration.claims import Worker
    from ..restoration.options import OutputOptions
    from ..restoration.restore_video import Source
    from ..restoration.restorer import VideoRestorer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        'Restore a video of any length and size. Sound, subtitles and timing stay as they are.\n'
        'A call that was stopped resumes when it is made again.'
    )
    parser.epilog = (
        f'bundled models:\n{describe_models()}\n\n'
        'exit status:\n  0 done; 1 not done, the message says why; 3 the input is damaged and its '
        'good part\n  was restored; 130 stopped by Ctrl-C. Of a folder of videos: 1 if any '
        'failed, else 3\n  if any is damaged'
    )
    parser.add_argument(
        'src',
        metavar='SRC',
        help="video file, folder of videos or of frames, 'glob/*.png', raw YUV "
        '(walk_352x288.yuv), or - for y4m from standard input',
    )
    parser.add_argument(
        'dst',
        metavar='DST',
        nargs='?',
        help='video file, folder (a name without suffix) for PNG frames or for videos, or - for '
        'y4m to standard output',
    )
    add_model(parser, f'{DEFAULT_MODEL}; with --scale or --size the one that enlarges far enough')
    how = add_restorer(parser, dtype='auto')
    how.add_argument('--memory', type=memory_size, metavar='SIZE', help='memory to use, such as 6G')
    how.add_argument(
        '--segment',
        type=whole_number(1),
        default=SEGMENT_FRAMES,
        metavar='N',
        help='frames after which work is kept, rounded up to whole windows (default: %(default)s)',
    )
    how.add_argument(
        '--offload', action='store_true', help="GPU: keep S2SVR's states in main memory"
    )
    add_workers(how)
    source = parser.add_argument_group('input')
    source.add_argument(
        '--frames',
        type=frame_range,
        default=(0, None),
        metavar='A:B',
        help='only frames A to B - 1',
    )
    source.add_argument(
        '--pattern', metavar='GLOB', help="restore only the videos of a folder that match: '*.mp4'"
    )
    source.add_argument(
        '--skip-existing', action='store_true', help='skip videos whose output exists'
    )
    source.add_argument(
        '--size-change',
        choices=['stop', 'split', 'scale'],
        default='stop',
        help='where the frame size changes: stop (default), split the output there, or scale all '
        'frames to the first size',
    )
    source.add_argument(
        '--strict', action='store_true', help='refuse damaged frames instead of concealing them'
    )
    source.add_argument(
        '--fps',
        type=frame_rate,
        metavar='RATE',
        help='frame rate of frames and raw YUV (default: 25)',
    )
    source.add_argument('--yuv-size', type=frame_size, metavar='WxH', help='frame size of raw YUV')
    out = parser.add_argument_group('output (default: by the name of the file and the input)')
    size = out.add_mutually_exclusive_group()
    size.add_argument(
        '--scale',
        dest='size',
        type=scale,
        metavar='N',
        help='factor by which each side grows; without --model, it selects the network',
    )
    size.add_argument(
        '--size',
        type=output_size,
        metavar='SIZE',
        help='size of the output, such as 1920x1080 or 1080p',
    )
    out.add_argument('--codec', help='video encoder, such as libx264, libx265, libsvtav1, ffv1')
    out.add_argument('--crf', type=number(0, 255), help='quality, lower is better and larger')
    out.add_argument('--preset', help="the encoder's preset, such as slow")
    out.add_argument('--pix-fmt', help='pixel format, such as yuv420p10le')
    out.add_argument(
        '--without',
        nargs='+',
        choices=['audio', 'subtitle'],
        default=[],
        help='leave out sound or subtitles',
    )
    out.add_argument('--compare', metavar='FILE', help='write a video of input and output as well')
    out.add_argument(
        '--compare-mode',
        choices=['side', 'split'],
        default='side',
        help='how --compare shows both: side by side, or half and half (default: side)',
    )
    out.add_argument('--overwrite', action='store_true', help='replace existing outputs')
    add_quiet(parser)
    # run_pipe compares with these to find the options that were given.
    parser.set_defaults(defaults=vars(parser.parse_args([PIPE, PIPE])))


def run(args: argparse.Namespace) -> int:
    """Restore; returns the exit status."""
    _check(args)
    if not args.quiet:
        # What is imported next takes seconds.
        print(f'{args.src} -> {args.dst}', file=sys.stderr, flush=True)
    if PIPE in (args.src, args.dst):
        return EXIT_DAMAGED if run_pipe(args) else 0
    try:
        if args.devices and not _is_refused(args):
            return run_on(args.devices, args, _work)
        return _work(args, None if args.launcher == 'none' else place_of(args.launcher))
    except KeyboardInterrupt:
        parts = Path(f'{args.dst.rstrip("/")}.parts')
        if parts.is_dir():
            print(f'\nwhat is done is kept in {parts}; the same call resumes it', file=sys.stderr)
        raise


def _is_refused(args: argparse.Namespace) -> bool:
    """Whether an output exists already, which one process alone should report."""
    return not args.overwrite and Path(args.dst).is_file()


def _check(args: argparse.Namespace) -> None:
    if args.devices and args.launcher != 'none':
        raise ConfigError('--devices starts processes, --launcher is for those started already')
    if args.devices and args.device != 'auto':
        raise ConfigError('give either --device, or --devices for several processes')
    if args.dst is None:
        raise ConfigError(
            'give the output as well: s2svr restore - -'
            if args.src == PIPE
            else f'give the output as well: s2svr restore {args.src} DST, where DST is a video '
            'such as out.mp4, or a name without suffix for a folder of PNG frames or of videos'
        )
    if args.model and (args.config or args.checkpoint):
        raise ConfigError('give either --model, or --config and --checkpoint')
    if bool(args.config) != bool(args.checkpoint):
        raise ConfigError(
            '--config and --checkpoint go together; without them, --model names a bundled model:\n'
            + describe_models()
        )
    # As the reader says, but without the seconds that its imports take. A pipe has refusals of its
    # own, which come first.
    if PIPE in (args.src, args.dst):
        return
    if not (os.path.lexists(args.src) or glob.has_magic(args.src)):
        raise DataError(f'There is no {args.src}.')


def _work(args: argparse.Namespace, place: Place | None) -> int:
    """Restore as the command line says, in one of the processes; returns the exit status."""
    # Before the seconds that the imports take, in which other processes may be done.
    before = OutputState.of(Path(args.dst))
    from ..registration import register

    register()
    from ..io.folders import is_batch
    from ..restoration.checks import Target
    from ..restoration.claims import Worker
    from ..restoration.restore_video import Source, restore_source

    source = Source(args.src, args.frames, args.fps, args.yuv_size, args.size_change, args.strict)
    worker = Worker(place.rank, place.processes) if place else None
    if is_batch(args.src, args.pattern):
        return _work_on_folder(args, place, source, worker)
    if args.skip_existing and before.identity is not None:
        print(f'{args.dst} exists: skipped')
        return 0
    # An unreadable input is reported before a network is loaded, which takes seconds.
    frame = source.open().info.size
    summary = restore_source(
        source,
        Target.of(args.dst),
        _restorer(args, place, frame),
        _options(args),
        progress=not args.quiet,
        worker=worker,
        before=before,
    )
    if summary is None:
        return 0
    print(summary)
    return EXIT_DAMAGED if summary.damage else 0


def _work_on_folder(
    args: argparse.Namespace, place: Place | None, source: 'Source', worker: 'Worker | None'
) -> int:
    from ..restoration.batch import plan_batch, restore_batch

    videos = plan_batch(Path(args.src), Path(args.dst), args.pattern)
    if not args.quiet:
        print(f'{len(videos)} videos, about {sum(v.frames for v in videos)} frames')
    summary = restore_batch(
        videos,
        Path(args.dst),
        _restorer(args, place, None),
        source,
        _options(args),
        args.skip_existing,
        progress=not args.quiet,
        worker=worker,
    )
    if place is None or place.rank == 0:
        print(summary)
    return 1 if summary.failed else EXIT_DAMAGED if summary.damaged else 0


def _restorer(
    args: argparse.Namespace, place: Place | None, frame: tuple[int, int] | None
) -> 'VideoRestorer':
    if place is None:
        return load_restorer(args, frame)
    device = device_of(place, args.device)
    return load_restorer(
        args, frame, place.rank == 0, device=device, processes=place.local_processes
    )


def _options(args: argparse.Namespace) -> 'OutputOptions':
    from ..restoration.options import OutputOptions

    return OutputOptions(
        codec=args.codec,
        crf=args.crf,
        preset=args.preset,
        pix_fmt=args.pix_fmt,
        without=tuple(args.without),
        compare=args.compare,
        compare_mode=args.compare_mode,
        overwrite=args.overwrite,
        segment=args.segment,
    )
