# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The benchmark's picture."""

from collections.abc import Sequence
from statistics import median
from typing import BinaryIO

from benchmarks.rounds import Result, name_of


def plot(
    file: BinaryIO, results: Sequence[Result], sweep: Sequence[tuple[tuple[int, int], Result]]
) -> None:
    """Draw time and memory of all networks, and those of a sweep over frames and pixels.

    Args:
        file (BinaryIO): Where the PNG goes.
        results (Sequence[Result]): One for each case.
        sweep (Sequence[tuple[tuple[int, int], Result]]): Height and width, and what was measured;
            may be empty.
    """
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    curves = _curves(sweep) if sweep else {}
    rows = 1 + len(curves)
    figure, axes = plt.subplots(rows, 2, figsize=(11, 3.6 * rows), squeeze=False)
    wholes = [r for r in results if r.case.whole is None]
    labels = [f'{r.case.name}, {name_of(r.case.dtype)}' for r in wholes]
    for axis, values, text in (
        (axes[0, 0], [median(r.seconds) / r.frames for r in wholes], 'seconds per frame'),
        (axes[0, 1], [r.memory / 2**20 for r in wholes], 'peak memory, MiB'),
    ):
        axis.barh(labels, values)
        axis.invert_yaxis()
        axis.set_xlabel(text)
    axes[0, 1].set_yticks([])
    for row, (text, points) in zip(axes[1:], curves.items(), strict=True):
        _plot_curve(row[0], points, [r.seconds for _, r in points], text, 'seconds')
        memory = [[r.memory / 2**20] for _, r in points]
        _plot_curve(row[1], points, memory, text, 'peak memory, MiB')
    figure.tight_layout()
    figure.savefig(file, dpi=120, format='png')
    plt.close(figure)


def _curves(
    sweep: Sequence[tuple[tuple[int, int], Result]],
) -> dict[str, list[tuple[int, Result]]]:
    """Points over the frames, at the first one's size, and over the pixels, by what x is."""
    (height, width), frames = sweep[0][0], sweep[-1][1].frames
    curves = {
        f'frames of {width}x{height}': [(r.frames, r) for s, r in sweep if s == (height, width)],
        f'pixels of each of {frames} frames': [
            (s[0] * s[1], r) for s, r in sweep if r.frames == frames
        ],
    }
    return {
        text: sorted(points, key=lambda point: point[0])
        for text, points in curves.items()
        if len(points) > 1
    }


def _plot_curve(axis, points, values: Sequence[Sequence[float]], xlabel: str, ylabel: str) -> None:
    middle = [median(v) for v in values]
    spread = [
        [m - min(v) for m, v in zip(middle, values, strict=True)],
        [max(v) - m for m, v in zip(middle, values, strict=True)],
    ]
    x = [value for value, _ in points]
    axis.errorbar(x, middle, spread, marker='o', capsize=3)
    top = 1.1 * max(map(max, values))
    axis.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, 1.05 * max(x)), ylim=(0, top))
