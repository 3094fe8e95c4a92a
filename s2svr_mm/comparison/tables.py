# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The figures of a comparison as means, as CSV and as Markdown."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .comparison import Result
from .methods import GROUND_TRUTH


@dataclass(frozen=True)
class Column:
    """A figure and how tables show it.

    Attributes:
        key (str): Its name in the CSV.
        heading (str): Its name for people.
        digits (int): Digits after the point.
        best (str): 'most' or 'least'. Only 'most' is marked: the least warping error is that of a
            still picture.
        unit (float): What a figure is divided by to be shown. Default: 1.
    """

    key: str
    heading: str
    digits: int
    best: str
    unit: float = 1.0

    def text(self, value: float | None) -> str:
        """The figure as tables show it; a dash where there is none."""
        return '-' if value is None else f'{value / self.unit:.{self.digits}f}'


COLUMNS = (
    Column('psnr_y', 'PSNR Y, dB', 2, 'most'),
    Column('ssim_y', 'SSIM Y', 4, 'most'),
    Column('psnr_rgb', 'PSNR RGB, dB', 2, 'most'),
    Column('ssim_rgb', 'SSIM RGB', 4, 'most'),
    Column('gain_y', 'gain Y, dB', 2, 'most'),
    Column('gain_rgb', 'gain RGB, dB', 2, 'most'),
    Column('warping_error', 'warping error x 1000', 3, 'least', 1e-3),
    Column('seconds', 'seconds a frame', 3, 'least'),
    Column('parameters', 'parameters, M', 2, 'least', 1e6),
    Column('macs', 'multiply-adds a frame, G', 1, 'least', 1e9),
)
FRAME_FIGURES = ('psnr_y', 'ssim_y', 'psnr_rgb', 'ssim_rgb', 'warping_error')


class Tables:
    """Results, averaged: over the frames of a clip, then over the clips of a set.

    Args:
        results (Sequence[Result]): All results.
        floor (str): Name of the method that gains are over.
    """

    def __init__(self, results: Sequence[Result], floor: str) -> None:
        self.results = list(results)
        self._floors = {(r.group, r.clip): r for r in results if r.method == floor}
        self.groups = list(dict.fromkeys(r.group for r in results))

    def of_clip(self, result: Result) -> dict[str, float | None]:
        """The figures of a method on a clip, by the keys of ``COLUMNS``."""
        figures = {name: result.mean(name) for name in FRAME_FIGURES}
        floor = self._floors[result.group, result.clip]
        for colour in ('y', 'rgb'):
            figures[f'gain_{colour}'] = _difference(
                figures[f'psnr_{colour}'], floor.mean(f'psnr_{colour}')
            )
        a_frame = None if result.seconds is None else result.seconds / result.num_frames
        return {**figures, 'seconds': a_frame, 'parameters': result.parameters, 'macs': result.macs}

    def of_group(self, group: str) -> dict[str, dict[str, float | None]]:
        """The figures of each method on a set, by name; parameters and multiply-adds too."""
        figures: dict[str, list[dict[str, float | None]]] = {}
        for result in self.results:
            if result.group == group:
                figures.setdefault(result.method, []).append(self.of_clip(result))
        return {
            method: {column.key: _mean([clip[column.key] for clip in clips]) for column in COLUMNS}
            for method, clips in figures.items()
        }

    def columns(self, group: str) -> list[Column]:
        """The columns in which a set has any figure."""
        rows = self.of_group(group).values()
        return [c for c in COLUMNS if any(row[c.key] is not None for row in rows)]

    def num_clips(self, group: str) -> tuple[int, int]:
        """Clips and frames of a set."""
        clips = {r.clip: r.num_frames for r in self.results if r.group == group}
        return len(clips), sum(clips.values())

    def best(self, group: str) -> dict[str, float | None]:
        """The figure to mark in each column of a set, as shown; the ground truth is left out."""
        rows = [row for name, row in self.of_group(group).items() if name != GROUND_TRUTH]
        best = {}
        for column in COLUMNS:
            known = [row[column.key] for row in rows if row[column.key] is not None]
            marked = column.best == 'most' and known
            best[column.key] = column.text(max(known)) if marked else None
        return best

    def to_markdown(self) -> str:
        """A table for each set; the best figure of a column is bold."""
        parts = []
        for group in self.groups:
            clips, frames = self.num_clips(group)
            columns, best = self.columns(group), self.best(group)
            lines = [['method', *(column.heading for column in columns)]]
            lines.append(['---', *('---:' for _ in columns)])
            for method, row in self.of_group(group).items():
                cells = [(column.text(row[column.key]), best[column.key]) for column in columns]
                bold = method != GROUND_TRUTH
                cells = [f'**{cell}**' if bold and cell == top else cell for cell, top in cells]
                lines.append([_escaped(method), *cells])
            table = '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)
            clips_text = f'{clips} clip{"s" * (clips > 1)}, {frames} frames'
            parts.append(f'### {_escaped(group)}\n\n{clips_text}\n\n{table}\n')
        return '\n'.join(parts)

    def to_csv(self) -> str:
        """All figures: of each frame, of each clip (frame 'mean') and of each set (clip 'mean')."""
        text = io.StringIO()
        keys = [column.key for column in COLUMNS]
        writer = csv.DictWriter(
            text, ['set', 'clip', 'method', 'frame', *keys], lineterminator='\n'
        )
        writer.writeheader()
        for group in self.groups:
            for method, row in self.of_group(group).items():
                writer.writerow(dict(set=group, clip='mean', method=method, frame='mean', **row))
            for result in self.results:
                if result.group != group:
                    continue
                place = dict(set=group, clip=result.clip, method=result.method)
                writer.writerow(dict(**place, frame='mean', **self.of_clip(result)))
                for index in range(result.num_frames):
                    writer.writerow(dict(**place, frame=index, **self._of_frame(result, index)))
        return text.getvalue()

    def _of_frame(self, result: Result, index: int) -> dict[str, float | None]:
        floor = self._floors[result.group, result.clip]
        figures = {name: _at(result, name, index) for name in FRAME_FIGURES}
        for colour in ('y', 'rgb'):
            figures[f'gain_{colour}'] = _difference(
                figures[f'psnr_{colour}'], _at(floor, f'psnr_{colour}', index)
            )
        return figures


def _at(result: Result, figure: str, index: int) -> float | None:
    values = result.figures.get(figure, [])
    return values[index] if index < len(values) else None


def _difference(a: float | None, b: float | None) -> float | None:
    """``a - b``; none where both are infinite, for two perfect clips gain nothing over another."""
    if a is None or b is None:
        return None
    return 0.0 if a == b else a - b


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _escaped(name: str) -> str:
    return name.replace('|', '\\|')
