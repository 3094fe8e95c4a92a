# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Measure what windows and tiles cost: their memory and time by length, and their seams."""

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Measure what windows and tiles cost.')
    checks = parser.add_subparsers(dest='check', required=True)
    memory = checks.add_parser('memory', help='peak memory and time by the number of frames')
    memory.add_argument('--lengths', type=int, nargs='+', default=[50, 100, 200, 400, 1000])
    memory.add_argument('--size', type=int, nargs=2, default=(64, 48), metavar=('W', 'H'))
    memory.add_argument('--frames', type=int, help=argparse.SUPPRESS)
    seams = checks.add_parser('seams', help='differences from restoring the whole clip at once')
    seams.add_argument('src', help='a clip that fits in memory at once: video, folder or raw YUV')
    seams.add_argument('--gt', help='ground truth, for the loss of PSNR')
    seams.add_argument('--first', type=int, help='only so many frames')
    seams.add_argument('--crop', type=int, nargs=2, metavar=('W', 'H'), help='only the top left')
    for check in (memory, seams):
        check.add_argument('--config')
        check.add_argument('--checkpoint', help='default: random weights')
        check.add_argument('--window', type=int)
        check.add_argument('--overlap', type=int)
        check.add_argument('--tile', type=int)
        check.add_argument('--tile-overlap', type=int, default=64)
        check.add_argument('--device', default='auto')
        check.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    """Measure."""
    args = parse_args()
    sys.path.insert(0, str(CHECKOUT))
    from s2svr_mm.cli.reporting import exit_on_user_error

    with exit_on_user_error(args.debug):
        if args.check == 'seams':
            print_seams(args)
        elif args.frames is not None:
            print(*measure_run(args))
        else:
            print_memory(args)


def build_restorer(args: argparse.Namespace):
    """Return the restorer that the arguments ask for."""
    import torch

    from s2svr_mm.models.s2svr_net import S2SVRNet
    from s2svr_mm.models.zoo import load_model
    from s2svr_mm.restoration.restorer import VideoRestorer

    torch.manual_seed(0)
    if args.config:
        network = load_model(args.config, args.checkpoint)
    else:
        network = S2SVRNet(mid_channels=8, num_blocks=1, num_layers=2)
    return VideoRestorer(
        network,
        device=args.device,
        dtype='float32',
        window=args.window,
        overlap=args.overlap,
        tile=args.tile,
        tile_overlap=args.tile_overlap,
    )


def measure_run(args: argparse.Namespace) -> tuple[int, int, float]:
    """Restore a made-up video; peak memory, that at the start (both in bytes) and seconds."""
    import tempfile
    from fractions import Fraction

    import av
    import numpy as np

    from s2svr_mm.restoration.restore_video import restore_video
    from s2svr_mm.utils.memory import peak_host_memory

    width, height = args.size
    restorer = build_restorer(args)
    with tempfile.TemporaryDirectory() as folder:
        src = Path(folder) / 'in.mp4'
        with av.open(str(src), 'w') as container:
            video = container.add_stream('libx264', rate=Fraction(25))
            video.width, video.height = width, height
            y, x = np.mgrid[:height, :width]
            for index in range(args.frames):
                wave = 127 + 100 * np.sin((x + index) / 5) * np.cos(y / 4)
                rgb = np.repeat(wave[..., None], 3, 2).astype(np.uint8)
                container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format='rgb24')))
            container.mux(video.encode())
        start = peak_host_memory() if restorer.device.type == 'cpu' else 0
        summary = restore_video(src, Path(folder) / 'out.mp4', restorer, progress=False)
    return summary.device_peak or summary.host_peak, start, summary.seconds


def print_memory(args: argparse.Namespace) -> None:
    """Print a table, each line from a process of its own."""
    print('frames  peak memory MB  x that of 100  restoring MB  x that of 100  seconds  a frame')
    rows: dict[int, tuple[int, int]] = {}
    command = [sys.executable, *sys.argv, '--frames']
    for length in args.lengths:
        output = subprocess.run([*command, str(length)], check=True, stdout=subprocess.PIPE)
        peak, start, seconds = output.stdout.split()[-3:]
        # What the imports, the weights and the making of the video took tells nothing.
        rows[length] = int(peak), int(peak) - int(start)
        cells = []
        for value, reference in zip(rows[length], rows.get(100, (0, 0)), strict=True):
            ratio = f'{value / reference:.3f}' if reference else ''
            cells.append(f'{value / 2**20:.1f}  {ratio:>13}')
        print(
            f'{length:6d}  {cells[0]:>29}  {cells[1]:>27}  {float(seconds):7.1f}  '
            f'{float(seconds) / length:7.4f}',
            flush=True,
        )


def print_seams(args: argparse.Namespace) -> None:
    """Print how far windows and tiles are from the whole clip, and by frame and line."""
    import numpy as np

    from s2svr_mm.io.clips import open_reader
    from s2svr_mm.restoration.windows import TilingPlan
    from s2svr_mm.utils.metrics import psnr

    def frames(path: str, scale: int = 1) -> list[np.ndarray]:
        width, height = args.crop or (None, None)
        cut = slice(height and scale * height), slice(width and scale * width)
        return [p.rgb[cut] for p in open_reader(path).iterate(0, args.first)]

    clip = frames(args.src)
    height, width = clip[0].shape[:2]
    restorer = build_restorer(args)
    plan = restorer.decide(clip[:1]).plan
    whole = _restored(restorer, clip, TilingPlan(len(clip), 0))
    gt = np.stack(frames(args.gt, restorer.scale)) if args.gt else None
    if gt is not None:
        print(f'whole clip: {psnr(whole, gt):.3f} dB')
    parts = {'windows': TilingPlan(plan.window, plan.overlap), 'windows and tiles': plan}
    if plan.window >= len(clip):
        print(f'a window of {plan.window} frames holds the whole clip; --window makes shorter ones')
        del parts['windows']
    if not plan.tile:
        del parts['windows and tiles']
    for name, pieces in parts.items():
        result = _restored(restorer, clip, pieces)
        print(f'{name}: {pieces}')
        print(f'  PSNR to the whole clip {psnr(result, whole):.2f} dB')
        if gt is not None:
            print(f'  PSNR to the truth {psnr(result, gt):.3f} dB')
        _print_steps(result, whole, 0, 'frames', _window_seams(len(clip), pieces))
        if pieces.tile:
            s = restorer.scale
            _print_steps(result, whole, 2, 'columns', _tile_seams(width, pieces, s))
            _print_steps(result, whole, 1, 'rows', _tile_seams(height, pieces, s))


def _restored(restorer, clip: Sequence, plan):
    import numpy as np

    from s2svr_mm.restoration.planning import Decision

    return np.stack(list(restorer.restore(clip, Decision(plan, 'float32'))))


def _window_seams(length: int, plan) -> set[int]:
    """Frames that follow a frame of which another window has the greater part."""
    starts = range(plan.step, max(length - plan.overlap, 0), plan.step)
    fades = (range(plan.fade + 1) for _ in starts)
    return {s + plan.fade_start + i for s, fade in zip(starts, fades, strict=True) for i in fade}


def _tile_seams(length: int, plan, scale: int) -> set[int]:
    from s2svr_mm.restoration.windows import tile_axis

    tiles = tile_axis(length, plan.tile, plan.tile_overlap)[1:]
    return {i for t in tiles for i in range(scale * t.fade_start, scale * t.fade_stop + 1)}


def _print_steps(result, whole, axis: int, name: str, seams: set[int]) -> None:
    """How much more neighbours differ than they do in the whole clip, at seams and elsewhere.

    A seam that is seen is a step between neighbours that the whole clip does not have.
    """
    import numpy as np

    steps = []
    for i in range(1, result.shape[axis]):
        pair = [slice(None)] * 4
        pair[axis] = slice(i - 1, i + 1)
        error = result[tuple(pair)].astype(np.int16) - whole[tuple(pair)]
        steps.append(np.abs(np.diff(error, axis=axis)))
    for where, chosen in (
        ('at seams', [s for i, s in enumerate(steps, 1) if i in seams]),
        ('elsewhere', [s for i, s in enumerate(steps, 1) if i not in seams]),
    ):
        if chosen:
            print(
                f'  steps between {name} {where}: largest {max(s.max() for s in chosen)}, '
                f'root mean square {_rms(chosen):.3f} of 255'
            )


def _rms(steps: Sequence) -> float:
    import numpy as np

    squares: Iterator = (np.square(s.astype(np.float64)).mean() for s in steps)
    return float(np.sqrt(np.mean(list(squares))))


if __name__ == '__main__':
    main()
