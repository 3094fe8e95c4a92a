# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The figures of a comparison as means, as CSV and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..utils.tables import markdown_table
from .comparison import ClipResult


@dataclass(frozen=True)
class Column:
    """A figure and how tables show it.

    Attributes:
        key (str): Its name in the CSV.
        heading (str): Its name for people.
        digits (int): Digits after the point.
        best (str): 'most' or 'least'. Only 'most' is marked: the least warping error is that of a
            still picture.
        unit (float): What a figure is divided by to be shown. Defaults to 1.
    """

    key: str
    heading: str
    digits: int
    best: str
    unit: float = 1.0

    def text(self, value: float) -> str:
        """Return the figure as tables show it; a dash where there is none (NaN)."""
        return '-' if np.isnan(value) else f'{value / self.unit:.{self.digits}f}'


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
_KEYS = [column.key for column in COLUMNS]
_METHOD = ['set', 'clip', 'method']


class Tables:
    """Results, averaged: over the frames of a clip, then over the clips of a set.

    Args:
        results (Sequence[ClipResult]): All results.
        baseline (str): Name of the method that gains are over.

    Attributes:
        frames (pd.DataFrame): Figures of each frame, by set, clip, method and frame.
        clips (pd.DataFrame): Means by set, clip and method; seconds, parameters and multiply-adds.
        groups (list[str]): Names of the sets.
        references (set[str]): Methods that others are measured against.
    """

    def __init__(self, results: Sequence[ClipResult], baseline: str) -> None:
        self.groups = list(dict.fromkeys(r.group for r in results))
        self.references = {r.method for r in results if r.is_reference}
        places = pd.MultiIndex.from_tuples([(r.group, r.clip, r.method) for r in results])
        by_frame = [
            pd.DataFrame(
                {key: pd.Series(r.figures.get(key), dtype=float) for key in FRAME_FIGURES},
                index=range(r.num_frames),
            )
            for r in results
        ]
        frames = pd.concat(by_frame, keys=places, names=[*_METHOD, 'frame'])
        clips = frames.groupby(level=_METHOD, sort=False).mean()
        self.frames = _with_gains(frames, baseline)
        self.clips = _with_gains(clips, baseline).assign(
            seconds=[np.nan if r.seconds is None else r.seconds / r.num_frames for r in results],
            parameters=pd.array([r.parameters for r in results], float),
            macs=pd.array([r.macs for r in results], float),
        )[_KEYS]

    def of_group(self, group: str) -> pd.DataFrame:
        """Return the figures of each method on a set, by name; NaN where there is none."""
        return self.clips.loc[group].groupby(level='method', sort=False).mean()

    def columns(self, group: str) -> list[Column]:
        """Return the columns in which a set has any figure."""
        known = self.of_group(group).notna().any()
        return [column for column in COLUMNS if known[column.key]]

    def num_clips(self, group: str) -> tuple[int, int]:
        """Clips and frames of a set."""
        frames = self.frames.loc[group].index.droplevel('method').unique()
        return len(frames.unique('clip')), len(frames)

    def best(self, group: str) -> dict[str, str | None]:
        """Return the figure to mark in each column of a set, as shown; references are left out."""
        rows = self.of_group(group).drop(index=self.references, errors='ignore')
        return {
            column.key: column.text(rows[column.key].max())
            if column.best == 'most' and rows[column.key].notna().any()
            else None
            for column in COLUMNS
        }

    def to_markdown(self) -> str:
        """Return a table for each set; the best figure of a column is bold."""
        return '\n'.join(self._section(group) for group in self.groups)

    def _section(self, group: str) -> str:
        clips, frames = self.num_clips(group)
        columns, best = self.columns(group), self.best(group)
        rows = []
        for method, row in self.of_group(group).iterrows():
            cells = [(column.text(row[column.key]), best[column.key]) for column in columns]
            bold = method not in self.references
            rows.append([method, *(f'**{c}**' if bold and c == top else c for c, top in cells)])
        table = markdown_table(['method', *(column.heading for column in columns)], rows)
        count = f'{clips} clip{"s" * (clips > 1)}, {frames} frames'
        return f'### {group}\n\n{count}\n\n{table}'

    def to_csv(self) -> str:
        """All figures: of each frame, of each clip (frame 'mean') and of each set (clip 'mean')."""
        parts = []
        for group in self.groups:
            means = self.of_group(group).reset_index().assign(clip='mean', frame='mean')
            clips = self.clips.loc[group].reset_index().assign(frame='mean')
            frames = self.frames.loc[group].reset_index()
            parts += [part.assign(set=group) for part in (means, clips, frames)]
        table = pd.concat(parts).reindex(columns=['set', 'clip', 'method', 'frame', *_KEYS])
        return table.to_csv(index=False, lineterminator='\n')


def _with_gains(figures: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Add the gain in PSNR over the baseline on the same clip or frame."""
    own = figures[['psnr_y', 'psnr_rgb']]
    base = own.xs(baseline, level='method')
    base = base.reindex(own.index.droplevel('method')).set_axis(own.index)
    # Two perfect clips gain nothing over another, where the difference is none.
    gain = (own - base).mask(own == base, 0.0)
    return figures.assign(gain_y=gain['psnr_y'], gain_rgb=gain['psnr_rgb'])
