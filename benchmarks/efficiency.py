# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Draw the PSNR of x4 networks over their arithmetic, as docs/efficiency.csv lists them.

python benchmarks/efficiency.py [--out docs/efficiency.svg]
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
TICKS = [20, 50, 100, 200, 500]
COST, QUALITY = 'Multiply-adds (G)', 'Vid4 BI (dB)'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', default=ROOT / 'docs' / 'efficiency.svg', type=Path)
    return parser.parse_args()


def main() -> None:
    """Draw."""
    args = parse_args()
    from benchmarks.drawing import blank_drawing, save_drawing

    table = pd.read_csv(ROOT / 'docs' / 'efficiency.csv').dropna(subset=[COST, QUALITY])
    figure, axes = blank_drawing()
    for own, rows in table.groupby(table['Source'] == 'this project'):
        color = 'tab:red' if own else 'tab:blue'
        axes.scatter(rows[COST], rows[QUALITY], color=color)
        for name, x, y in rows[['Network', COST, QUALITY]].itertuples(index=False):
            # TMP lies just above another one.
            place = (0, 6) if name == 'TMP' else (6, -3)
            axes.annotate(name, (x, y), textcoords='offset points', xytext=place, color=color)
    axes.set(
        xscale='log',
        xlabel='multiply-adds of a 180x320 frame (G)',
        ylabel='PSNR on Vid4 (BI), Y, in dB',
        xlim=(14, 700),
    )
    axes.set_xticks(TICKS, map(str, TICKS))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    save_drawing(figure, args.out)


if __name__ == '__main__':
    main()
