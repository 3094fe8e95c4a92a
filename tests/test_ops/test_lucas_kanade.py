# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import itertools

import pytest
import torch

from s2svr_mm.ops.lucas_kanade import refine_flow, window_mean


def waves(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A texture that is known between the pixels too, (1, 3, h, w)."""
    parts = [torch.sin(0.35 * x + 0.2 * y), torch.sin(0.25 * y - 0.3 * x), torch.cos(0.4 * y)]
    return 0.5 + 0.2 * torch.stack(parts)[None]


def grid(size: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.meshgrid(torch.arange(size) * 1.0, torch.arange(size) * 1.0, indexing='ij')


def errors(flow: torch.Tensor, truth: tuple[float, float]) -> float:
    truth = torch.tensor(truth).view(1, 2, 1, 1)
    return (flow - truth)[..., 12:36, 12:36].norm(dim=1).mean().item()


@pytest.mark.parametrize('start', [(2.0, -1.0), (2.6, -1.3)])
def test_it_finds_the_fraction_of_a_pixel(start):
    y, x = grid()
    ref, supp = waves(y, x), waves(y + 0.75, x - 2.25)  # ref at p is supp at p + (2.25, -0.75)
    flow = torch.tensor(start).view(1, 2, 1, 1).expand(1, 2, 48, 48)
    refined = refine_flow(ref, supp, flow, damping=1e-6)
    assert errors(flow, (2.25, -0.75)) > 0.35
    assert errors(refined, (2.25, -0.75)) < 0.06


def test_it_never_moves_by_more_than_a_pixel():
    y, x = grid()
    flow = torch.zeros(1, 2, 48, 48)
    refined = refine_flow(waves(y, x), waves(y, x - 3), flow)
    assert refined.abs().max() <= 1
    assert errors(refined, (3.0, 0.0)) < 2.2


def test_where_nothing_is_to_be_seen_nothing_changes():
    flow = torch.randn(1, 2, 32, 32)
    torch.testing.assert_close(refine_flow(*torch.full((2, 1, 3, 32, 32), 0.5), flow), flow)


def test_damping_holds_back_what_rests_on_little():
    y, x = grid()
    frames = 0.5 + 0.01 * waves(y, x), 0.5 + 0.01 * waves(y, x - 0.5)
    flow = torch.zeros(1, 2, 48, 48)
    assert errors(refine_flow(*frames, flow, damping=1e-8), (0.5, 0.0)) < 0.06
    assert refine_flow(*frames, flow).abs().max() < 0.01


@pytest.mark.parametrize(('size', 'window'), [((9, 14), 5), ((3, 20), 9), ((1, 1), 7), ((8, 8), 1)])
def test_mean_of_what_of_a_window_lies_inside(size, window):
    x = torch.rand(2, 5, *size, dtype=torch.float64)
    reach = window // 2
    found = window_mean(x, window)
    for y, column in itertools.product(*map(range, size)):
        rows, columns = (slice(max(0, i - reach), i + reach + 1) for i in (y, column))
        torch.testing.assert_close(found[:, :, y, column], x[:, :, rows, columns].mean((2, 3)))


def test_gradients_by_finite_differences():
    """By the frames and the flow, so that an estimator can be trained through the step."""
    torch.manual_seed(0)
    ref, supp = (torch.rand(1, 3, 7, 8, dtype=torch.float64, requires_grad=True) for _ in range(2))
    flow = 0.3 + 0.4 * torch.rand(1, 2, 7, 8, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda *inputs: refine_flow(*inputs, window=5), (ref, supp, flow.requires_grad_())
    )


def test_half_precision_frames():
    y, x = grid()
    frames = waves(y, x), waves(y, x - 0.5)
    flow = torch.zeros(1, 2, 48, 48)
    half = refine_flow(*(z.bfloat16() for z in (*frames, flow)))
    assert half.dtype == torch.float32
    assert (half - refine_flow(*frames, flow)).abs().mean() < 0.02
