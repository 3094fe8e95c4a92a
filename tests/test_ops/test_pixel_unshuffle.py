# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from torch.nn import functional

from s2svr_mm.ops.pixel_unshuffle import unshuffle, unshuffle_flow
from s2svr_mm.ops.warp import warp


@pytest.mark.parametrize('factor', [1, 2, 4])
def test_nothing_is_lost(factor):
    x = torch.rand(2, 3, 13, 22)
    small = unshuffle(x, factor)
    assert small.shape == (2, 3 * factor**2, -(-13 // factor), -(-22 // factor))
    torch.testing.assert_close(functional.pixel_shuffle(small, factor)[..., :13, :22], x)


def test_flow_moves_small_frames_as_it_moves_the_frames():
    x = torch.rand(1, 3, 16, 24)
    flow = torch.tensor([4.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 16, 24)
    small = warp(unshuffle(x, 2), unshuffle_flow(flow, 2))
    torch.testing.assert_close(small, unshuffle(warp(x, flow), 2))


def test_flow_of_a_rotation_lives_at_the_middle_of_the_squares():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(12.0), indexing='ij')
    small_y, small_x = torch.meshgrid(torch.arange(4.0), torch.arange(6.0), indexing='ij')
    flow = torch.stack((-0.1 * y, 0.1 * x))[None]
    # Pixel p of the small frames lies at 2p + 1/2 of the frames.
    expected = torch.stack((-0.1 * (2 * small_y + 0.5), 0.1 * (2 * small_x + 0.5)))[None] / 2
    torch.testing.assert_close(unshuffle_flow(flow, 2), expected)
