# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""PSNR over time: x4 networks in each back end on the CPU, with bicubic interpolation as the floor.

python benchmarks/quality_speed.py data/Vid4/GT --out table.csv --plot plot.svg \
    --model BasicVSR configs/baselines/basicvsr_vimeo90k_bi.py basicvsr.pth

Clips of ground truth are made smaller by MATLAB's bicubic kernel. On each clip all methods take
turns, after a few frames that are not counted.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

NETWORK, BACKEND, SECONDS, QUALITY = 'Network', 'Computed by', 'Seconds a frame', 'PSNR Y (dB)'
_SCALE = 4


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clips', metavar='CLIPS', nargs='?', help='folder of ground truth')
    parser.add_argument(
        '--model',
        nargs=3,
        action='append',
        default=[],
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        help='measured beside the bundled networks',
    )
    parser.add_argument('--frames', type=int, help='of each clip (default: all)')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--out', type=Path, required=True, help='the table; read if CLIPS is left out'
    )
    parser.add_argument('--plot', type=Path, help='draw it')
    return parser.parse_args()


def main() -> None:
    """Measure, draw, or both."""
    args = parse_args()
    if args.clips:
        os.environ['OMP_NUM_THREADS'] = str(args.threads)
        table = measure(args)
        table.to_csv(args.out, index=False)
        print(table.to_string(index=False))
    if args.plot:
        draw(pd.read_csv(args.out), args.plot)


def measure(args: argparse.Namespace) -> pd.DataFrame:
    """Restore all clips by all methods."""
    import torch

    from s2svr_mm.comparison.clips import degraded_clips
    from s2svr_mm.comparison.methods import Baseline
    from s2svr_mm.registration import register

    register()
    from mmagic.evaluation.metrics import psnr

    torch.set_num_threads(args.threads)
    ways: list[tuple[str, str, Any]] = [
        ('bicubic', 'NumPy', Baseline(_SCALE)),
        ('mean of 3 frames aligned by DIS', 'OpenCV', AlignedMean()),
        *networks(args.model),
    ]
    seconds, count = [0.0] * len(ways), 0
    values: list[list[float]] = [[] for _ in ways]
    with tempfile.TemporaryDirectory() as folder:
        for clip in degraded_clips('clips', args.clips, 'bi', _SCALE, Path(folder), args.frames):
            frames, truth = zip(*clip.pairs(), strict=True)
            count += len(frames)
            for number, (_, _, method) in enumerate(ways):
                method.prepare(frames[:2])
                list(method.restore(frames[:2]))
                begun = time.perf_counter()
                restored = list(method.restore(frames))
                seconds[number] += time.perf_counter() - begun
                pairs = zip(restored, truth, strict=True)
                values[number].append(np.mean([psnr(a, b, convert_to='Y') for a, b in pairs]))
                print(clip.key, *ways[number][:2], f'{values[number][-1]:.2f} dB', file=sys.stderr)
    rows = [
        (name, way, round(taken / count, 4), round(float(np.mean(found)), 2))
        for (name, way, _), taken, found in zip(ways, seconds, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=[NETWORK, BACKEND, SECONDS, QUALITY])


def networks(models: Sequence[Sequence[str]]) -> Iterator[tuple[str, str, Any]]:
    """Yield every x4 network in every back end that is installed: name, back end, method."""
    import torch

    from s2svr_mm.comparison.methods import NetworkMethod
    from s2svr_mm.models.zoo import list_models
    from s2svr_mm.utils.devices import computes_bfloat16

    types = ['float32', *(['bfloat16'] if computes_bfloat16(torch.device('cpu')) else [])]
    for model in [*([name] for name in list_models() if '_x4' in name), *models]:
        usable = NetworkMethod(*model, device='cpu').restorer.predictor.usable_backends
        ways = [('torch', dtype) for dtype in types]
        for dtype in ('float32', 'int8'):
            ways += [(backend, dtype) for backend in usable(dtype) if backend != 'torch']
        for backend, dtype in ways:
            method = NetworkMethod(*model, device='cpu', backend=backend, dtype=dtype, window=100)
            yield model[0], f'{backend} {dtype}', method


class AlignedMean:
    """The mean of a frame and both its neighbours, enlarged and aligned by OpenCV's DIS."""

    def prepare(self, first: Sequence[np.ndarray]) -> None:
        """There is nothing to settle."""

    def restore(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield restored frames, (4 h, 4 w, 3), for (h, w, 3), RGB in [0, 255]."""
        import cv2

        from s2svr_mm.comparison.methods import bicubic
        from s2svr_mm.io.images import to_uint8
        from s2svr_mm.ops.dis_flow import dis_flow, sample_along

        frames = list(frames)
        small, large = [to_uint8(x) for x in frames], [bicubic(x, _SCALE) for x in frames]
        for i, frame in enumerate(large):
            aligned = [frame]
            for other in (i - 1, i + 1):
                if 0 <= other < len(frames):
                    flow = _SCALE * dis_flow(small[i], small[other])
                    size = frame.shape[1::-1]
                    aligned.append(sample_along(large[other], cv2.resize(flow, size)))
            yield np.mean(aligned, axis=0)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw PSNR over seconds, a line for each network."""
    import matplotlib as mpl

    # Equal drawings, equal files.
    mpl.use('svg')
    mpl.rcParams.update({'svg.hashsalt': 's2svr', 'svg.fonttype': 'none', 'font.size': 9})
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.4), layout='constrained')
    markers = dict(zip(table[BACKEND].unique(), 'xv*osD^P', strict=False))
    for name, rows in table.groupby(NETWORK, sort=False):
        line = axes.plot(rows[SECONDS], rows[QUALITY], linewidth=0.8)[0]
        for row in rows.itertuples(index=False):
            axes.plot(row[2], row[3], markers[row[1]], color=line.get_color())
        axes.annotate(
            name,
            (rows[SECONDS].iloc[0], rows[QUALITY].iloc[0]),
            textcoords='offset points',
            xytext=(0, 7),
            ha='right' if rows[SECONDS].iloc[0] > 1 else 'center',
            color=line.get_color(),
        )
    for backend, marker in islice(markers.items(), 2, None):
        axes.plot([], [], marker, color='gray', label=backend)
    axes.set(xscale='log', xlabel='seconds a frame', ylabel='PSNR, Y, in dB')
    axes.margins(0.12)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={'Date': None})


if __name__ == '__main__':
    main()
