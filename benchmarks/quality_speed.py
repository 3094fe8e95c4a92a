# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""PSNR against seconds a frame: x4 networks in each back end on the CPU, and two baselines.

python benchmarks/quality_speed.py data/Vid4/GT --out table.csv --plot plot.svg \
    --model BasicVSR configs/baselines/basicvsr_vimeo90k_bi.py basicvsr.pth

Ground truth is downsampled by MATLAB's bicubic kernel. On each clip the methods run in turn, each
after a warm-up of two frames.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

NETWORK, BACKEND, SECONDS, QUALITY = 'Network', 'Back end', 'Seconds a frame', 'PSNR Y (dB)'
# What the baselines have in place of a back end: they are named in the drawing.
_BASELINE = '-'
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
    parser.add_argument('--frames', type=int, help='frames of each clip (default: all)')
    parser.add_argument('--threads', type=int, default=1, help='CPU threads (default: 1)')
    parser.add_argument(
        '--out', type=Path, required=True, help='CSV of the results; without CLIPS it is read'
    )
    parser.add_argument('--plot', type=Path, help='SVG to draw')
    args = parser.parse_args()
    if not (args.clips or args.plot):
        parser.error('give CLIPS to measure, --plot to draw, or both')
    return args


def main() -> None:
    """Measure, draw, or both."""
    args = parse_args()
    if args.clips:
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
    cv2.setNumThreads(args.threads)
    methods: list[tuple[str, str, Any]] = [
        ('bicubic', _BASELINE, Baseline(_SCALE)),
        ('mean of 3 frames aligned by DIS', _BASELINE, AlignedMean()),
        *networks(args.model),
    ]
    seconds, count = [0.0] * len(methods), 0
    values: list[list[float]] = [[] for _ in methods]
    with tempfile.TemporaryDirectory() as folder:
        for clip in degraded_clips('clips', args.clips, 'bi', _SCALE, Path(folder), args.frames):
            frames, truth = zip(*clip.pairs(), strict=True)
            count += len(frames)
            for number, (*name, method) in enumerate(methods):
                method.prepare(frames[:2])
                list(method.restore(frames[:2]))
                begun = time.perf_counter()
                restored = list(method.restore(frames))
                seconds[number] += time.perf_counter() - begun
                pairs = zip(restored, truth, strict=True)
                values[number].append(np.mean([psnr(a, b, convert_to='Y') for a, b in pairs]))
                print(clip.key, *name, f'{values[number][-1]:.2f} dB', file=sys.stderr, flush=True)
    rows = [
        (name, backend, round(taken / count, 4), round(float(np.mean(found)), 2))
        for (name, backend, _), taken, found in zip(methods, seconds, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=[NETWORK, BACKEND, SECONDS, QUALITY])


def networks(models: Sequence[Sequence[str]]) -> Iterator[tuple[str, str, Any]]:
    """Yield every x4 network in every back end that is installed: name, back end, method."""
    from benchmarks.measuring import backends_of
    from s2svr_mm.comparison.methods import NetworkMethod
    from s2svr_mm.models.zoo import list_models

    for model in [*([name] for name in list_models() if '_x4' in name), *models]:
        for backend, dtype in backends_of(NetworkMethod(*model, device='cpu').restorer.predictor):
            method = NetworkMethod(*model, device='cpu', backend=backend, dtype=dtype, window=100)
            yield model[0], f'{backend} {dtype}', method


class AlignedMean:
    """The mean of a frame and both its neighbours, enlarged and aligned by OpenCV's DIS."""

    def prepare(self, first: Sequence[np.ndarray]) -> None:
        """There is nothing to settle."""

    def restore(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield restored frames, (4 h, 4 w, 3), for (h, w, 3), RGB in [0, 255]."""
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
    from benchmarks.drawing import blank_drawing, save_drawing

    figure, axes = blank_drawing()
    backends = [name for name in table[BACKEND].unique() if name != _BASELINE]
    markers = dict(zip(backends, 'ovs^Dp', strict=False)) | {_BASELINE: 'x'}
    for name, rows in table.groupby(NETWORK, sort=False):
        color = axes.plot(rows[SECONDS], rows[QUALITY], linewidth=0.8)[0].get_color()
        for backend, seconds, quality in zip(
            rows[BACKEND], rows[SECONDS], rows[QUALITY], strict=True
        ):
            axes.plot(seconds, quality, markers[backend], color=color)
        offset, side = (0, 7), 'center'
        if name == 'bicubic':
            offset, side = (-7, -3), 'right'
        elif rows[BACKEND].iloc[0] == _BASELINE:
            offset, side = (7, -3), 'left'
        place = rows[SECONDS].median(), rows[QUALITY].iloc[0]
        axes.annotate(name, place, textcoords='offset points', xytext=offset, ha=side, color=color)
    for backend in backends:
        axes.plot([], [], markers[backend], color='gray', label=backend)
    axes.set(xscale='log', xlabel='seconds a frame', ylabel='PSNR on Vid4 (BI), Y, in dB')
    axes.set_xticks([0.1, 1], ['0.1', '1'])
    axes.margins(0.15)
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    save_drawing(figure, path)


if __name__ == '__main__':
    main()
