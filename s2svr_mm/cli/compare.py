# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr compare``: compare networks on clips."""

import argparse
import sys
from pathlib import Path

from ..checkpoints.shipped import describe_models
from ..errors import ConfigError
from .arguments import add_quiet, add_restorer, restorer_settings, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        'Restore clips with several networks and compare them with each other, with the ground\n'
        'truth and with the baseline: the input, or its bicubic enlargement. Writes results.csv,\n'
        'table.md and report.html, a page that opens offline.'
    )
    parser.epilog = (
        'A call that was stopped resumes when it is made again; with a further --model, --pairs,\n'
        '--clips or --video, it restores only what is new, and table and report hold what the\n'
        f'call names.\n\nbundled models:\n{describe_models()}'
    )
    parser.add_argument(
        '--model',
        nargs='+',
        action='append',
        required=True,
        metavar='NAME',
        help='network to compare: --model NAME CONFIG CHECKPOINT, or --model NAME for a '
        'bundled one; can be given several times, all of one scale',
    )
    data = parser.add_argument_group(
        'clips',
        'one or more sets; a set is a folder of clips or one clip, a clip a folder of frames or a '
        'video',
    )
    data.add_argument(
        '--pairs',
        nargs=3,
        action='append',
        default=[],
        metavar=('NAME', 'LQ', 'GT'),
        help='clips and their ground truth, named alike',
    )
    data.add_argument(
        '--clips',
        nargs=2,
        action='append',
        default=[],
        metavar=('NAME', 'GT'),
        help='ground truth, from which --degrade makes the inputs',
    )
    data.add_argument(
        '--degrade',
        nargs='+',
        action='extend',
        metavar='KIND',
        help="for --clips, each KIND a set of its own: bi, x2 or x4 (MATLAB's bicubic), bd "
        '(Gaussian blur), blur (7 frames averaged), qp37 (x265 at QP 37), crf23 (bicubic where the '
        'networks enlarge, then H.264 at CRF 23) or real (soft, bicubic, noisy, H.264 at CRF 25)',
    )
    data.add_argument(
        '--video',
        nargs=2,
        action='append',
        default=[],
        metavar=('NAME', 'SRC'),
        help='clips without ground truth: pictures, time and temporal consistency, no PSNR',
    )
    data.add_argument(
        '--frames', type=whole_number(1), metavar='N', help='the first N frames of each clip'
    )
    add_restorer(parser, dtype='float32')
    parser.add_argument('--out', required=True, metavar='DIR', help='output folder')
    parser.add_argument('--title', default='Video restoration compared', help='title of the report')
    add_quiet(parser)


def run(args: argparse.Namespace) -> None:
    """Compare."""
    _check(args)
    from ..registration import register

    register()
    try:
        _compare(args)
    except KeyboardInterrupt:
        print(f'\nwhat is done is kept in {args.out}; the same call resumes it', file=sys.stderr)
        raise


def _check(args: argparse.Namespace) -> None:
    for model in args.model:
        if len(model) not in (1, 3):
            raise ConfigError(
                f'--model takes NAME CONFIG CHECKPOINT or NAME, got {" ".join(model)}'
            )
    if not (args.pairs or args.clips or args.video):
        raise ConfigError('give clips to compare on: --pairs, --clips or --video')
    if bool(args.clips) != bool(args.degrade):
        raise ConfigError('--clips and --degrade go together')


def _compare(args: argparse.Namespace) -> None:
    from ..comparison import clips as data
    from ..comparison.comparison import Comparison
    from ..comparison.methods import check_names, load_methods
    from ..comparison.report import write_comparison
    from ..utils.files import output_folder

    made = [
        (name if len(args.degrade) == 1 else f'{name} {kind}', gt, kind)
        for name, gt in args.clips
        for kind in args.degrade
    ]
    sets = [*args.pairs, *(each[:2] for each in made), *args.video]
    check_names('--pairs, --clips and --video', [name for name, *_ in sets])
    for name, *paths in sets:
        for path in paths:
            data.check_exists(name, path)
    networks = load_methods(args.model, **restorer_settings(args))
    scale, root = networks[0].scale, Path(args.out)
    for name, _, kind in made:
        data.check_degradation(name, kind, scale)
    with output_folder(root):
        clips = [
            clip
            for name, lq, gt in args.pairs
            for clip in data.paired_clips(name, lq, gt, scale, args.frames)
        ]
        videos = [
            clip
            for name, src in args.video
            for clip in data.clips_without_truth(name, src, args.frames)
        ]
        for name, gt, kind in made:
            clips += data.degraded_clips(
                name,
                gt,
                kind,
                scale,
                root / 'degraded',
                args.frames,
                progress=not args.quiet,
            )
        comparison = Comparison(root, networks, [*clips, *videos], progress=not args.quiet)
        files = write_comparison(comparison, comparison.run(), args.title)
    print(files[1].read_text(encoding='utf-8'))
    print('written: ' + ', '.join(map(str, files)))
