# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Drawings for the pages, as SVG."""

from pathlib import Path
from typing import Any


def blank_drawing() -> tuple[Any, Any]:
    """Return matplotlib's figure and axes, of one size and font for all pages."""
    import matplotlib as mpl

    # Equal drawings, equal files.
    mpl.use('svg')
    mpl.rcParams.update({'svg.hashsalt': 's2svr', 'svg.fonttype': 'none', 'font.size': 9})
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6, 3.4), layout='constrained')


def save_drawing(figure: Any, path: Path) -> None:
    """Write a figure as SVG, without the date."""
    figure.savefig(path, metadata={'Date': None})
