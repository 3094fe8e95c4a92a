# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from helpers.clips import moving_clip, write_frames


def test_detector(run_tool, tmp_path):
    clips = [
        write_frames(tmp_path / str(seed), moving_clip(14, 36, 64, seed=seed)) for seed in range(3)
    ]
    result = run_tool('dev/check_scene_cuts', 'detector', '--orders', 1, '--pairs', 2, *clips)
    assert result.status == 0, result.output
    assert 'precision 1.0000, recall 1.0000' in result.output
    lines = result.output.splitlines()
    assert next(line.split() for line in lines if line.startswith('cut  ')) == ['cut', '2', '2']


def test_film(run_tool, tmp_path):
    clips = [
        write_frames(tmp_path / str(seed), moving_clip(9, 64, 96, seed=seed)) for seed in range(3)
    ]
    result = run_tool(
        'dev/check_scene_cuts', 'film', '--shots', 3, '--frames', 7, 9, '--size', 64, 64, *clips
    )
    assert result.status == 0, result.output
    (row,) = [line for line in result.output.splitlines() if line.startswith('scene cuts')]
    assert [float(cell) for cell in row.split()[2:]] == [0, 0, 0, 0]
