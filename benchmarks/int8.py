# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What int8 costs in quality, on good clips that are degraded as each bundled network is meant for.

Prints PSNR (RGB) of float32 and of int8, and over one long clip, played forth and back, how much is
lost around frame 30 and at the end:
python benchmarks/int8.py data/clips/val/gt
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

# What the bundled networks are tried on.
KINDS = {
    's2svr_s_compress': 'crf32',
    's2svr_s_deblur': 'blur',
    's2svr_s_x2_video': 'crf23',
    's2svr_s_x4': 'bi',
    's2svr_s_x4_video': 'crf23',
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clips', metavar='CLIPS', help='folder of good clips')
    parser.add_argument('models', nargs='*', metavar='NAME', help='bundled models (default: all)')
    parser.add_argument('--frames', type=int, default=16, help='of each clip')
    parser.add_argument('--side', type=int, default=256, help='of the part that is taken')
    parser.add_argument('--long', type=int, default=300, help='frames of the long clip; 0 for none')
    parser.add_argument('--backend', default='openvino')
    return parser.parse_args()


def main() -> None:
    """Print a table."""
    args = parse_args()
    from s2svr_mm.io.clips import find_clips
    from s2svr_mm.models.zoo import list_models, load_model
    from s2svr_mm.registration import register
    from s2svr_mm.restoration.restorer import VideoRestorer

    register()
    paths = list(find_clips(args.clips).values())
    heading = [
        'network',
        'on',
        'float32, dB',
        'int8, dB',
        'lost, dB',
        'least and greatest of a clip',
    ]
    if args.long:
        heading.append(f'lost at 20 to 40, and in the last 20 of {args.long} frames, dB')
    print('| ' + ' | '.join(heading) + ' |')
    print('|---' * len(heading) + '|')
    for name in args.models or list_models():
        network, kind = load_model(name), KINDS[name]
        whole = dict(device='cpu', window=max(args.long, args.frames), overlap=0, tile=0)
        restorers = [
            VideoRestorer(network, dtype='float32', scene_cuts=False, **whole),
            VideoRestorer(network, dtype='int8', backend=args.backend, scene_cuts=False, **whole),
        ]
        found = []
        for path in paths:
            truth, degraded = degrade(part(path, args.frames, args.side), kind, network.scale)
            found.append([psnr_of_frames(r, degraded, truth).mean() for r in restorers])
        exact, rounded = np.mean(found, axis=0)
        lost = [a - b for a, b in found]
        cells = [f'`{name}`', kind, f'{exact:.3f}', f'{rounded:.3f}', f'{exact - rounded:.3f}']
        cells.append(f'{min(lost):.3f}, {max(lost):.3f}')
        if args.long:
            frames = part(paths[0], args.frames, args.side)
            forth_and_back = list(islice(cycle([*frames, *frames[-2:0:-1]]), args.long + 6))
            truth, degraded = degrade(forth_and_back, kind, network.scale)
            exact, rounded = (psnr_of_frames(r, degraded, truth) for r in restorers)
            loss = exact - rounded
            early, late = loss[20:40].mean(), loss[-20:].mean()
            cells.append(f'{early:.3f}, {late:.3f}')
        print('| ' + ' | '.join(cells) + ' |', flush=True)


def part(path: str, frames: int, side: int) -> list[np.ndarray]:
    """Read the middle of the first frames of a clip, (h, w, 3) in [0, 255]."""
    from s2svr_mm.io.clips import open_reader
    from s2svr_mm.io.images import to_levels

    found = []
    for frame in open_reader(path).iterate(0, frames):
        top, left = (max(length - side, 0) // 2 for length in frame.rgb.shape[:2])
        found.append(to_levels(frame.rgb)[top : top + side, left : left + side])
    return found


def degrade(
    frames: Sequence[np.ndarray], kind: str, scale: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return ground truth, and what a network gets of it."""
    from s2svr_mm.datasets.preparation.degradations import degrade_frames
    from s2svr_mm.io.images import to_uint8

    pairs = list(degrade_frames(frames, kind, scale))
    return [gt for gt, _ in pairs], [to_uint8(lq) for _, lq in pairs]


def psnr_of_frames(
    restorer: Any, frames: Sequence[np.ndarray], truth: Sequence[np.ndarray]
) -> np.ndarray:
    """Restore a clip as a whole; return the PSNR of each frame."""
    from s2svr_mm.utils.metrics import psnr

    restored = restorer.restore(frames)
    return np.array([psnr(a, b) for a, b in zip(restored, truth, strict=True)])


if __name__ == '__main__':
    main()
