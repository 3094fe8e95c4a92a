# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Draw the PSNR of x4 networks over their arithmetic, as docs/efficiency.csv lists them.

python benchmarks/efficiency.py [--out docs/efficiency.svg]
"""

import argparse
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
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
    import matplotlib as mpl

    # Equal drawings, equal files.
    mpl.use('svg')
    mpl.rcParams.update({'svg.hashsalt': 's2svr', 'svg.fonttype': 'none', 'font.size': 9})
    import matplotlib.pyplot as plt

    table = pd.read_csv(ROOT / 'docs' / 'efficiency.csv').dropna(subset=[COST, QUALITY])
    figure, axes = plt.subplots(figsize=(6, 3.4), layout='constrained')
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
    figure.savefig(args.out, metadata={'Date': None})


if __name__ == '__main__':
    main()
