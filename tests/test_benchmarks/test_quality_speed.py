# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import subprocess
import sys

import pandas as pd
import pytest
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT

SCRIPT = 'benchmarks/quality_speed.py'


def run(*args):
    command = [sys.executable, SCRIPT, *map(str, args)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)


def test_the_drawing_is_that_of_the_table(tmp_path):
    table = CHECKOUT / 'docs' / 'quality_speed.csv'
    done = run('--out', table, '--plot', tmp_path / 'a.svg')
    assert done.returncode == 0, done.stderr
    names = pd.read_csv(table)['Network']
    # The second one is that of the page, by one version of matplotlib.
    for drawing in (tmp_path / 'a.svg', CHECKOUT / 'docs' / 'quality_speed.svg'):
        drawn = drawing.read_text()
        assert all(f'>{name}<' in drawn for name in names)
    assert 'give CLIPS to measure' in run('--out', table).stderr


@pytest.mark.slow
def test_every_network_is_measured(tmp_path):
    write_frames(tmp_path / 'clips' / 'walk', moving_clip(2, 64, 64))
    done = run(tmp_path / 'clips', '--out', tmp_path / 'table.csv')
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / 'table.csv')
    assert (table['Seconds a frame'] > 0).all()
    quality = table.set_index(['Network', 'Back end'])['PSNR Y (dB)']
    for name in ('s2svr_s_x4', 's2svr_s_x4_video'):
        assert quality[name, 'openvino float32'] == quality[name, 'torch float32']
        assert abs(quality[name, 'openvino int8'] - quality[name, 'torch float32']) < 0.2
    assert quality['s2svr_s_x4', 'torch float32'] > quality['bicubic', '-']
