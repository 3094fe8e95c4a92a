# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Restore a video: python tools/restore.py in.mp4 out.mp4 --config CONFIG --checkpoint FILE."""

import argparse
import re
import sys
from fractions import Fraction
from pathlib import Path

# The input is damaged and what came before the damage was restored.
EXIT_DAMAGED = 3


def _frames(text: str) -> tuple[int, int | None]:
    match = re.fullmatch(r'(\d*):(\d*)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not FIRST:END, such as 10:50, 10: or :50')
    return int(match[1] or 0), int(match[2]) if match[2] else None


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not WIDTHxHEIGHT, such as 352x288')
    return int(match[1]), int(match[2])


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise argparse.ArgumentTypeError(f'{text!r} is no frame rate, such as 25 or 30000/1001')
    return rate


def _bytes(text: str) -> int:
    match = re.fullmatch(r'(\d+(?:\.\d+)?)([MG])B?', text.upper())
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is no amount of memory, such as 800M or 6G')
    return int(float(match[1]) * {'M': 2**20, 'G': 2**30}[match[2]])


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Restore a video of any length and size. Sound, subtitles and timing stay as '
        'they are. A call that was stopped goes on where it was when it is made again.',
        epilog='Exit status: 0 done; 1 not done, the message says why; 3 the input is damaged and '
        'its good part was restored; 130 stopped by Ctrl-C.',
    )
    parser.add_argument(
        'src', help="video file, folder of frames, 'glob/*.png' or raw YUV (walk_352x288.yuv)"
    )
    parser.add_argument('dst', help='video file, or folder for PNG frames (a name without suffix)')
    model = parser.add_argument_group('model')
    model.add_argument('--model', metavar='NAME', help='a model that comes with this package')
    model.add_argument('--config', help='config file of another model')
    model.add_argument('--checkpoint', metavar='FILE', help='its weights')
    model.add_argument('--device', default='auto', help='cpu, cuda, cuda:1 ... (default: auto)')
    model.add_argument(
        '--dtype',
        choices=['auto', 'float32', 'bfloat16'],
        default='auto',
        help='auto: bfloat16 where the device has it and the first frames stay within 0.05 dB',
    )
    model.add_argument(
        '--tta', action='store_true', help='average over 8 flips and turns: better, 8 times slower'
    )
    pieces = parser.add_argument_group('windows and tiles (default: what fits in memory)')
    pieces.add_argument('--window', type=int, help='frames that the network sees at once')
    pieces.add_argument(
        '--overlap', type=int, help='frames that neighbouring windows share (default: 16)'
    )
    pieces.add_argument(
        '--tile', type=int, help='side of tiles in pixels, overlaps included; 0 for whole frames'
    )
    pieces.add_argument(
        '--tile-overlap',
        type=int,
        default=64,
        help='pixels that neighbouring tiles share (default: 64)',
    )
    pieces.add_argument(
        '--memory', type=_bytes, metavar='SIZE', help='memory to use, such as 6G (default: free)'
    )
    pieces.add_argument(
        '--segment', type=int, default=48, help='frames after which work is kept (default: 48)'
    )
    pieces.add_argument(
        '--offload', action='store_true', help="GPU: keep S2SVR's states in main memory"
    )
    source = parser.add_argument_group('input')
    source.add_argument(
        '--frames', type=_frames, default=(0, None), metavar='A:B', help='only frames A to B - 1'
    )
    source.add_argument(
        '--size-change',
        choices=['stop', 'split', 'scale'],
        default='stop',
        help='where the frame size changes: stop there (default), split the output there, or '
        'scale all frames to the first size',
    )
    source.add_argument('--fps', type=_rate, help='frame rate of frames and raw YUV (default: 25)')
    source.add_argument('--yuv-size', type=_size, metavar='WxH', help='frame size of raw YUV')
    out = parser.add_argument_group('output (default: by the name of the file and the input)')
    out.add_argument('--codec', help='video encoder, such as libx264, libx265, libsvtav1, ffv1')
    out.add_argument('--crf', type=float, help='quality, lower is better and larger')
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
    out.add_argument('--compare-mode', choices=['side', 'split'], default='side')
    out.add_argument('--overwrite', action='store_true', help='replace existing outputs')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    args = parser.parse_args()
    if args.model is None and (args.config is None or args.checkpoint is None):
        parser.error('give --config and --checkpoint, or --model for one that comes along')
    if args.model is not None and (args.config or args.checkpoint):
        parser.error('give either --model, or --config and --checkpoint')
    return args


def main() -> None:
    """Restore."""
    args = parse_args()
    if not args.quiet:
        # What is imported next takes seconds.
        print(f'{args.src} -> {args.dst}', file=sys.stderr, flush=True)
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / 's2svr_mm').is_dir():
        sys.path.insert(0, str(checkout))

    from s2svr_mm.cli.reporting import exit_on_user_error

    with exit_on_user_error(args.debug):
        try:
            damaged = restore(args)
        except KeyboardInterrupt:
            parts = Path(f'{args.dst.rstrip("/")}.parts')
            if parts.is_dir():
                print(
                    f'\nwhat is done is kept in {parts}; the same call goes on from there',
                    file=sys.stderr,
                )
            raise
    sys.exit(EXIT_DAMAGED if damaged else 0)


def restore(args: argparse.Namespace) -> bool:
    """Restore as the command line says; returns whether the input is damaged."""
    from s2svr_mm.io.clips import open_reader
    from s2svr_mm.models.zoo import load_model
    from s2svr_mm.restoration.options import OutputOptions
    from s2svr_mm.restoration.restore_video import restore_video
    from s2svr_mm.restoration.restorer import VideoRestorer

    # What can't be read is said before a network is loaded, which takes seconds.
    open_reader(args.src, args.fps, args.yuv_size)
    network = load_model(args.model or args.config, args.checkpoint)
    restorer = VideoRestorer(
        network,
        device=args.device,
        dtype=args.dtype,
        window=args.window,
        overlap=args.overlap,
        tile=args.tile,
        tile_overlap=args.tile_overlap,
        tta=args.tta,
        memory_limit=args.memory,
        offload=args.offload,
    )
    options = OutputOptions(
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
    summary = restore_video(
        args.src,
        args.dst,
        restorer,
        frames=args.frames,
        options=options,
        rate=args.fps,
        yuv_size=args.yuv_size,
        size_change=args.size_change,
        progress=not args.quiet,
    )
    print(summary)
    return summary.damage is not None


if __name__ == '__main__':
    main()
