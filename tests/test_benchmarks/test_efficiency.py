# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import subprocess
import sys

import pandas as pd
from helpers.tool_process import CHECKOUT

from s2svr_mm.checkpoints.shipped import bundled_model


def test_the_drawing_is_that_of_the_table(tmp_path):
    command = [sys.executable, 'benchmarks/efficiency.py', '--out', str(tmp_path / 'a.svg')]
    subprocess.run(command, cwd=CHECKOUT, check=True)
    table = pd.read_csv(CHECKOUT / 'docs' / 'efficiency.csv')
    # The second one is that of the page, by one version of matplotlib.
    for drawing in (tmp_path / 'a.svg', CHECKOUT / 'docs' / 'efficiency.svg'):
        drawn = drawing.read_text()
        for _, row in table.iterrows():
            both = row['Multiply-adds (G)'] > 0 and row['Vid4 BI (dB)'] > 0
            assert (f'>{row["Network"]}<' in drawn) == both


def test_own_figures_are_those_of_the_models():
    table = pd.read_csv(CHECKOUT / 'docs' / 'efficiency.csv')
    own = table[table['Source'] == 'this project']
    for _, row in own.iterrows():
        metrics = bundled_model(row['Network']).metrics
        assert any(m.get('PSNR') == f'{row["Vid4 BI (dB)"]:.2f} dB' for m in metrics)
