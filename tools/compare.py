# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Compare networks: python tools/compare.py --model NAME CONFIG CHECKPOINT --pairs NAME LQ GT."""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Restore clips with several networks and compare them with each other, with '
        'the ground truth and with a baseline: the input, or its bicubic enlargement. Writes '
        'results.csv, table.md and report.html, a page that opens offline.',
        epilog='A call that was stopped goes on where it was when it is made again; with '
        'a further --model, --pairs, --clips or --video, it restores only what is new, and '
        'table and report hold what the call names.',
    )
    parser.add_argument(
        '--model',
        nargs='+',
        action='append',
        required=True,
        metavar='NAME',
        help='network to compare: --model NAME CONFIG CHECKPOINT, or --model NAME for one that '
        'comes with this package; can be given several times, all of one scale',
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
        help='ground truth, which --degrade makes the input of',
    )
    data.add_argument(
        '--degrade',
        metavar='KIND',
        help="for --clips: bi (MATLAB's bicubic), bd (Gaussian blur), blur (7 frames averaged) or "
        'qp37 (x265 at QP 37)',
    )
    data.add_argument(
        '--video',
        nargs=2,
        action='append',
        default=[],
        metavar=('NAME', 'SRC'),
        help='clips without ground truth: pictures, time and temporal consistency, no PSNR',
    )
    data.add_argument('--frames', type=int, metavar='N', help='the first N frames of each clip')
    how = parser.add_argument_group('how networks run (default: what fits in memory)')
    how.add_argument('--device', default='auto', help='cpu, cuda, cuda:1 ... (default: auto)')
    how.add_argument(
        '--dtype',
        choices=['auto', 'float32', 'bfloat16'],
        default='float32',
        help='auto: bfloat16 where the device has it and the first frames stay within 0.05 dB '
        '(default: float32)',
    )
    how.add_argument('--window', type=int, help='frames that a network sees at once')
    how.add_argument(
        '--overlap', type=int, help='frames that neighbouring windows share (default: 16)'
    )
    how.add_argument(
        '--tile', type=int, help='side of tiles in pixels, overlaps included; 0 for whole frames'
    )
    how.add_argument(
        '--tile-overlap',
        type=int,
        default=64,
        help='pixels that neighbouring tiles share (default: 64)',
    )
    how.add_argument('--tta', action='store_true', help='average over 8 flips and turns')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for all that is made')
    parser.add_argument('--title', default='Video restoration compared', help='of the report')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    args = parser.parse_args()
    for model in args.model:
        if len(model) not in (1, 3):
            parser.error(f'--model takes NAME CONFIG CHECKPOINT or NAME, got {" ".join(model)}')
    if not (args.pairs or args.clips or args.video):
        parser.error('give clips to compare on: --pairs, --clips or --video')
    if bool(args.clips) != bool(args.degrade):
        parser.error('--clips and --degrade go together')
    if args.frames is not None and args.frames < 1:
        parser.error(f'--frames must be at least 1, got {args.frames}')
    return args


def main() -> None:
    """Compare."""
    args = parse_args()
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / 's2svr_mm').is_dir():
        sys.path.insert(0, str(checkout))

    from s2svr_mm.cli.reporting import exit_on_user_error

    with exit_on_user_error(args.debug):
        try:
            compare(args)
        except KeyboardInterrupt:
            print(
                f'\nwhat is done is kept in {args.out}; the same call goes on from there',
                file=sys.stderr,
            )
            raise


def compare(args: argparse.Namespace) -> None:
    """Compare as the command line says."""
    from s2svr_mm.comparison import clips as data
    from s2svr_mm.comparison.comparison import Comparison
    from s2svr_mm.comparison.methods import check_names, load_methods
    from s2svr_mm.comparison.report import write_comparison
    from s2svr_mm.utils.files import output_folder

    sets = [*args.pairs, *args.clips, *args.video]
    check_names('--pairs, --clips and --video', [name for name, *_ in sets])
    for name, *paths in sets:
        for path in paths:
            data.check_exists(name, path)
    networks = load_methods(
        args.model,
        device=args.device,
        dtype=args.dtype,
        window=args.window,
        overlap=args.overlap,
        tile=args.tile,
        tile_overlap=args.tile_overlap,
        tta=args.tta,
    )
    scale, root = networks[0].scale, Path(args.out)
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
        for name, gt in args.clips:
            clips += data.degraded_clips(
                name,
                gt,
                args.degrade,
                scale,
                root / 'degraded',
                args.frames,
                progress=not args.quiet,
            )
        comparison = Comparison(root, networks, [*clips, *videos], progress=not args.quiet)
        files = write_comparison(comparison, comparison.run(), args.title)
    print(files[1].read_text(encoding='utf-8'))
    print('written: ' + ', '.join(map(str, files)))


if __name__ == '__main__':
    main()
