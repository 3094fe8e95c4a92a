# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import runpy
import sys

import numpy as np
import pytest
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT

from s2svr_mm.io.clips import open_reader


def frames_of(folder):
    return np.stack([frame.rgb for frame in open_reader(str(folder)).iterate()])


@pytest.mark.parametrize('scale', [1, 4])
def test_sets_for_compare(tmp_path, monkeypatch, scale):
    clip = np.stack(moving_clip(4, 64, 64))
    write_frames(tmp_path / 'clips' / 'walk', clip)
    script = str(CHECKOUT / 'dev' / 'unusual_clips.py')
    out = tmp_path / 'out'
    options = ['--scale', str(scale), '--frames', '3', '--side', '64']
    monkeypatch.setattr(sys, 'argv', [script, str(tmp_path / 'clips'), str(out), *options])
    runpy.run_path(script, run_name='__main__')
    kinds = {'crf40', 'noise', 'grain', 'interlaced', 'dark', 'frozen', 'fading', 'text', 'drawing'}
    assert {path.name for path in out.iterdir() if path.name[0] != '.'} >= kinds
    pairs = {}
    for kind in kinds:
        key = kind if kind in ('text', 'drawing') else 'walk'
        pairs[kind] = [frames_of(out / kind / side / key) for side in ('gt', 'lq')]
        assert pairs[kind][0].shape == (3, 64, 64, 3)
        assert pairs[kind][1].shape == (3, 64 // scale, 64 // scale, 3)
    for kind in ('crf40', 'noise', 'grain', 'interlaced'):
        np.testing.assert_array_equal(pairs[kind][0], clip[:3])
    assert pairs['dark'][0].max() <= 16
    np.testing.assert_array_equal(pairs['frozen'][0], clip[[0, 0, 0]])
    brightness = pairs['fading'][0].mean((1, 2, 3)) / clip[:3].mean((1, 2, 3))
    np.testing.assert_allclose(brightness, [1, 0.994, 0.988], atol=0.004)
    if scale == 1:
        noise = pairs['noise'][1] - clip[:3].astype(float)
        assert 15 < noise.std() < 26
        np.testing.assert_array_equal(pairs['interlaced'][1][:, ::2], clip[:3, ::2])
        np.testing.assert_array_equal(pairs['interlaced'][1][:, 1::2], clip[1:4, 1::2])
