# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Time the bundled networks in torch, ONNX Runtime and OpenVINO, side by side.

All run on one clip in turns, warm; a figure is the median of the rounds, a ratio the median of the
ratios within a round.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('models', nargs='*', metavar='NAME', help='bundled models (default: all)')
    parser.add_argument('--size', type=int, nargs=2, default=(144, 180), metavar=('H', 'W'))
    parser.add_argument('--frames', type=int, default=6)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--threads', type=int, default=1)
    return parser.parse_args()


def main() -> None:
    """Print a table."""
    args = parse_args()
    os.environ['OMP_NUM_THREADS'] = str(args.threads)
    import torch

    from benchmarks.measuring import backends_of
    from s2svr_mm.models.zoo import list_models, load_model
    from s2svr_mm.registration import register
    from s2svr_mm.restoration.predictor import Predictor

    register()
    torch.set_num_threads(args.threads)
    noise = torch.rand(1, args.frames, 3, args.size[0] + 8, args.size[1] + 8)
    clip = torch.nn.functional.avg_pool3d(noise, (1, 9, 9), 1)
    print('| network | back end | seconds a frame | as fast as torch float32 | least to greatest |')
    print('|---|---|---:|---:|---:|')
    for name in args.models or list_models():
        predictor = Predictor(load_model(name), 'cpu')
        kinds = backends_of(predictor)
        times: dict[tuple[str, str], list[float]] = {kind: [] for kind in kinds}
        for number in range(args.rounds + 1):
            for backend, dtype in kinds:
                start = time.perf_counter()
                predictor.predict(clip, dtype, backend)
                if number:
                    times[backend, dtype].append(time.perf_counter() - start)
        for kind, taken in times.items():
            ratios = [a / b for a, b in zip(times['torch', 'float32'], taken, strict=True)]
            seconds = statistics.median(taken) / args.frames
            print(
                f'| {name} | {" ".join(kind)} | {seconds:.3f} | {statistics.median(ratios):.2f} x '
                f'| {min(ratios):.2f} to {max(ratios):.2f} |'
            )


if __name__ == '__main__':
    main()
