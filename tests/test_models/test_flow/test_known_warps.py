# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch

from s2svr_mm.models.flow import KnownWarps


def test_motion_grows_to_its_largest():
    torch.manual_seed(0)
    frames = torch.rand(3, 3, 48, 48)
    make = KnownWarps(max_motion=8.0, min_motion=0.5, grow_iters=100)
    longest = []
    for iteration in (0, 50, 100, 500):
        flows = [make(frames, iteration)[2] for _ in range(8)]
        longest.append(max(flow.norm(dim=1).max().item() for flow in flows))
    assert longest[0] <= 0.5001
    assert 0.5 < longest[1] <= 4.2501
    assert 4.25 < longest[2] <= 8.0001
    assert 4.25 < longest[3] <= 8.0001


def test_impossible_motion_is_refused():
    with pytest.raises(ValueError, match=r'got 3, 2 and 4'):
        KnownWarps(max_motion=2, min_motion=3)
