# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from helpers.clips import moving_clip

from s2svr_mm.ops.occlusion import inside_frame
from s2svr_mm.ops.synthetic_flow import synthetic_pair
from s2svr_mm.ops.warp import warp


def real_frames(n=3, size=48):
    clips = [moving_clip(1, size, size, seed=seed) for seed in range(n)]
    return torch.cat([torch.from_numpy(clip) for clip in clips]).permute(0, 3, 1, 2) / 255


def test_the_flow_takes_the_supporting_frame_to_the_reference_frame():
    torch.manual_seed(0)
    for layers, share in ((1, 1.0), (4, 0.8)):
        for _ in range(4):
            ref, supp, flow = synthetic_pair(real_frames(), 6.0, max_layers=layers, variation=0)
            assert ref.shape == supp.shape == (3, 3, 36, 36)
            error = (warp(supp, flow, 'border') - ref).abs().amax(1, keepdim=True)
            # Beside what other layers hide; bicubic and bilinear sampling differ a little.
            inside = inside_frame(flow) > 0
            assert (error[inside] < 0.06).float().mean() >= share - 0.05
            assert error[inside].median() < 0.02


def test_frames_differ_in_brightness_and_stay_in_range():
    torch.manual_seed(0)
    ref, supp, _ = synthetic_pair(torch.full((2, 3, 20, 20), 0.5), 2.0)
    assert (ref.mean() - supp.mean()).abs() > 1e-3
    assert min(ref.min(), supp.min()) >= 0
    assert max(ref.max(), supp.max()) <= 1


def test_frames_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match=r'Frames of 20x40 are too small for motion of 16\.0'):
        synthetic_pair(torch.zeros(1, 3, 40, 20), 16.0)
