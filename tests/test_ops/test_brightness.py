# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from torch.nn import functional

from s2svr_mm.ops.brightness import keep_brightness
from s2svr_mm.ops.lucas_kanade import window_mean
from s2svr_mm.ops.pixel_unshuffle import shuffle, unshuffle


@pytest.mark.parametrize('window', [1, 5, 33])
def test_window_means_are_those_of_a_pooling_that_ignores_what_lies_outside(window):
    x = torch.rand(2, 3, 14, 23)
    expected = functional.avg_pool2d(x, window, 1, window // 2, count_include_pad=False)
    torch.testing.assert_close(window_mean(x, window), expected)


@pytest.mark.parametrize('scale', [1, 2, 4])
def test_a_change_of_all_pixels_is_taken_back(scale):
    frames = torch.rand(2, 3, 12, 17)
    enlarged = functional.interpolate(frames, scale_factor=scale, mode='nearest')
    change = torch.tensor([0.1, -0.05, 0.02]).view(3, 1, 1)
    torch.testing.assert_close(keep_brightness(enlarged + change, frames, scale, 5), enlarged)


def test_detail_within_a_window_stays():
    frames = torch.full((1, 3, 40, 40), 0.5)
    detail = 0.2 * (-1.0) ** torch.arange(40).expand(1, 3, 40, 40)
    left = keep_brightness(frames + detail, frames, 1, 9) - frames
    # A window of nine pixels has one more of one sign than of the other.
    assert (left - detail).abs()[..., 4:-4].max() <= 0.2 / 9 + 1e-6
    assert left.mean().abs() < 1e-3


@pytest.mark.parametrize('factor', [2, 4])
def test_squares_of_pixels_share_a_correction(factor):
    frames, restored = torch.rand(2, 1, 3, 24, 32)
    small = [unshuffle(x, factor) for x in (restored, frames)]
    taken = restored - shuffle(keep_brightness(*small, 1, 3), factor)
    squares = functional.avg_pool2d(restored - frames, factor)
    expected = functional.interpolate(window_mean(squares, 3), scale_factor=factor)
    torch.testing.assert_close(taken, expected)


def test_gradient():
    restored, frames = torch.rand(2, 1, 3, 6, 8, dtype=torch.float64)
    enlarged = functional.interpolate(restored, scale_factor=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: keep_brightness(x, frames, 2, 3), enlarged)


def test_bfloat16_changes_nothing_that_is_seen():
    torch.manual_seed(0)
    frames = torch.rand(1, 3, 40, 60)
    restored = frames + 0.02 * torch.randn(1, 3, 40, 60) + 0.01
    expected = keep_brightness(restored, frames, 1, 17)
    with torch.autocast('cpu', torch.bfloat16):
        found = keep_brightness(restored, frames, 1, 17)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 0.1 / 255
