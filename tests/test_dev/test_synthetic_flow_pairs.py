# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import subprocess
import sys

import cv2
import mmcv
import numpy as np
import torch
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT

from s2svr_mm.ops.warp import warp


def run(*args):
    command = [sys.executable, 'dev/synthetic_flow_pairs.py', *map(str, args)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)


def test_the_flow_takes_the_second_frame_to_the_first(tmp_path):
    write_frames(tmp_path / 'clips' / 'walk', moving_clip(4, 96, 112))
    out = tmp_path / 'pairs'
    options = ('--max-motion', 4, '--size', 96, 80)
    done = run(tmp_path / 'clips', out, *options)
    assert done.returncode == 0, done.stderr
    assert sorted(folder.name for folder in out.iterdir()) == ['walk_0', 'walk_1']
    for folder in out.iterdir():
        first, second = (cv2.imread(str(folder / f'frame1{i}.png')) for i in (0, 1))
        flow = mmcv.flowread(str(folder / 'flow10.flo'))
        assert first.shape == (80, 96, 3)
        assert flow.shape == (80, 96, 2)
        assert 0 < np.linalg.norm(flow, axis=-1).max() <= 4.01
        tensors = [torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (second, flow)]
        moved = warp(*tensors, 'border')[0].permute(1, 2, 0).numpy()
        # What is hidden in the second frame is not found there; most is.
        assert np.median(abs(moved - first)) < 0.5 * np.median(abs(second - np.float32(first)))
    assert 'pairs is not empty' in run(tmp_path / 'clips', out, *options).stderr
    refused = run(tmp_path / 'clips', tmp_path / 'other')
    assert 'walk is smaller than 416x320: give a smaller --size' in refused.stderr
