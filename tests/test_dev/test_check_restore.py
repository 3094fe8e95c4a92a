# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import re

import pytest
from helpers.clips import moving_clip, write_frames


def test_seams(tmp_path, run_tool):
    write_frames(tmp_path / 'in', moving_clip(9, 40, 44))
    write_frames(tmp_path / 'gt', moving_clip(9, 160, 176))
    result = run_tool(
        *('dev/check_restore', 'seams', 'in', '--gt', 'gt', '--window', '5', '--overlap', '2'),
        *('--tile', '32', '--tile-overlap', '16'),
    )
    assert result.status == 0, result.output
    whole = float(re.search(r'whole clip: ([\d.]+) dB', result.output)[1])
    parts = re.findall(r'PSNR to the truth ([\d.]+) dB', result.output)
    # Random weights hardly change the frames, and the truth moves another way than the input.
    assert len(parts) == 2
    assert all(abs(float(part) - whole) < 0.5 for part in parts)
    for name in ('frames', 'columns', 'rows'):
        assert f'steps between {name} at seams' in result.output
        assert f'steps between {name} elsewhere' in result.output


def test_one_window_has_no_seams(tmp_path, run_tool):
    write_frames(tmp_path / 'in', moving_clip(3, 16, 16))
    result = run_tool('dev/check_restore', 'seams', 'in')
    assert result.status == 0, result.output
    assert 'holds the whole clip' in result.output
    assert 'at seams' not in result.output


@pytest.mark.slow
def test_memory(run_tool):
    result = run_tool(
        'dev/check_restore', 'memory', '--lengths', '100', '180', '--size', '32', '16'
    )
    assert result.status == 0, result.output
    rows = [line.split() for line in result.output.splitlines() if line.strip()[:1].isdigit()]
    assert [int(row[0]) for row in rows] == [100, 180]
    assert float(rows[1][2]) < 1.1
