# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import re
import subprocess
import sys

import av
import pytest
from helpers.tool_process import CHECKOUT


def psnr_of(table):
    """PSNR of each method in one of a report's tables."""
    rows = (re.split(r' *\| *', line) for line in table.splitlines() if line.startswith('| '))
    return {row[1]: float(row[2].strip('*')) for row in rows if re.match(r'\*?\*?\d', row[2])}


@pytest.mark.slow
def test_demo_restores_a_shot(tmp_path):
    command = [sys.executable, 'demo/demo.py', '--out', str(tmp_path)]
    result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    table = (tmp_path / 'report' / 'table.md').read_text()
    tables = table.split('demo crf23')
    clean, compressed = (psnr_of(part) for part in tables)
    assert clean['s2svr_s_x4'] > clean['bicubic'] + 2
    assert compressed['s2svr_s_x4_video'] > compressed['bicubic'] + 0.4
    with av.open(str(tmp_path / 'restored.mp4')) as video:
        frames = list(video.decode(video=0))
    assert [(frame.width, frame.height) for frame in frames] == [(640, 272)] * 50
    assert (tmp_path / 'comparison.png').stat().st_size > 10_000
