# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The benchmark's picture."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from .benchmark import Result, name_of


def plot(
    file: Path, results: Sequence[Result], sweep: Sequence[tuple[tuple[int, int], Result]]
) -> None:
    """Draw time and memory of all networks, and those of a sweep over frames and pixels.

    Args:
        file (Path): The PNG file to write.
        results (Sequence[Result]): One for each case.
        sweep (Sequence[tuple[tuple[int, int], Result]]): Height and width, and what was measured;
            may be empty.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    rows = 3 if sweep else 1
    figure, axes = plt.subplots(rows, 2, figsize=(11, 3.6 * rows), squeeze=False)
    wholes = [r for r in results if r.case.whole is None]
    labels = [f'{r.case.name}, {name_of(r.case.dtype)}' for r in wholes]
    for axis, values, text in (
        (axes[0, 0], [median(r.seconds) / r.frames for r in wholes], 'seconds per frame'),
        (axes[0, 1], [median(r.memory) / 2**20 for r in wholes], 'peak memory, MiB'),
    ):
        axis.barh(labels, values)
        axis.invert_yaxis()
        axis.set_xlabel(text)
    axes[0, 1].set_yticks([])
    if sweep:
        _plot_sweep(sweep, axes[1:])
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def _plot_sweep(sweep: Sequence[tuple[tuple[int, int], Result]], axes) -> None:
    """Time and memory over the frames at the first point's size, and over the pixels."""
    (size, _), *_ = sweep
    frames = sweep[-1][1].frames
    over_frames = sorted(((r.frames, r) for s, r in sweep if s == size), key=lambda point: point[0])
    over_pixels = sorted(
        ((s[0] * s[1], r) for s, r in sweep if r.frames == frames), key=lambda p: p[0]
    )
    for row, (points, text) in enumerate(
        (
            (over_frames, f'frames of {size[1]}x{size[0]}'),
            (over_pixels, f'pixels of each of {frames} frames'),
        )
    ):
        x = [value for value, _ in points]
        for axis, values, unit in (
            (axes[row, 0], [r.seconds for _, r in points], 'seconds'),
            (axes[row, 1], [[m / 2**20 for m in r.memory] for _, r in points], 'memory, MiB'),
        ):
            middle = [median(v) for v in values]
            spread = [
                [m - min(v) for m, v in zip(middle, values, strict=True)],
                [max(v) - m for m, v in zip(middle, values, strict=True)],
            ]
            axis.errorbar(x, middle, spread, marker='o', capsize=3)
            axis.set(xlabel=text, ylabel=unit, xlim=(0, None), ylim=(0, None))
