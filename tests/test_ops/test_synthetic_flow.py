# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from helpers.clips import moving_clip

from s2svr_mm.ops import synthetic_flow as known_warps
from s2svr_mm.ops.occlusion import inside_frame
from s2svr_mm.ops.synthetic_flow import KnownWarps
from s2svr_mm.ops.warp import warp


@pytest.fixture
def real_frames():
    def make(n=3, size=48):
        clips = [moving_clip(1, size, size, seed=seed) for seed in range(n)]
        return torch.cat([torch.from_numpy(clip) for clip in clips]).permute(0, 3, 1, 2) / 255

    return make


def test_the_flow_takes_the_supporting_frame_to_the_reference_frame(monkeypatch, real_frames):
    monkeypatch.setattr(known_warps, '_vary', lambda frames: frames)
    torch.manual_seed(0)
    for layers, share in ((1, 1.0), (4, 0.8)):
        make = KnownWarps(max_motion=6.0, max_layers=layers)
        for _ in range(4):
            ref, supp, flow = make(real_frames(), 0)
            assert ref.shape == supp.shape == (3, 3, 36, 36)
            error = (warp(supp, flow, 'border') - ref).abs().amax(1, keepdim=True)
            # Beside what other layers hide; bicubic and bilinear sampling differ a little.
            inside = inside_frame(flow) > 0
            assert (error[inside] < 0.06).float().mean() >= share - 0.05
            assert error[inside].median() < 0.02


def test_motion_grows_to_its_largest(real_frames):
    torch.manual_seed(0)
    make = KnownWarps(max_motion=8.0, min_motion=0.5, grow_iters=100)
    longest = []
    for iteration in (0, 50, 100, 500):
        flows = [make(real_frames(), iteration)[2] for _ in range(8)]
        longest.append(max(flow.norm(dim=1).max().item() for flow in flows))
    assert longest[0] <= 0.5001
    assert 0.5 < longest[1] <= 4.2501
    assert 4.25 < longest[2] <= 8.0001
    assert 4.25 < longest[3] <= 8.0001


def test_frames_differ_in_brightness_and_stay_in_range():
    torch.manual_seed(0)
    ref, supp, _ = KnownWarps(max_motion=2.0)(torch.full((2, 3, 20, 20), 0.5), 0)
    assert (ref.mean() - supp.mean()).abs() > 1e-3
    assert min(ref.min(), supp.min()) >= 0
    assert max(ref.max(), supp.max()) <= 1


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r'Frames of 20x40 are too small for motion of 16\.0'):
        KnownWarps()(torch.zeros(1, 3, 40, 20), 0)
    with pytest.raises(ValueError, match=r'got 3, 2 and 4'):
        KnownWarps(max_motion=2, min_motion=3)
