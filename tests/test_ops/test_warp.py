# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from mmagic.models.utils import flow_warp

from s2svr_mm.ops import warp as warping
from s2svr_mm.ops.warp import FlowSampler, warp


@pytest.fixture(params=['embedding bags', 'grid_sample', 'by channels'], autouse=True)
def _each_way(request, monkeypatch):
    """What a GPU does runs here too."""
    if request.param == 'embedding bags':
        monkeypatch.setattr(warping, '_MIN_BAG_CHANNELS', 0)
    if request.param == 'grid_sample':
        monkeypatch.setattr(warping, '_BAG_DEVICES', ())


@pytest.mark.parametrize('padding_mode', ['zeros', 'border'])
@pytest.mark.parametrize('size', [(9, 14), (1, 1), (1, 6), (5, 1)])
@pytest.mark.parametrize('reach', [0.4, 3, 40])
def test_equals_grid_sample(padding_mode, size, reach):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, *size, generator=generator)
    flow = reach * (2 * torch.rand(2, 2, *size, generator=generator) - 1)
    if 1 in size:
        # mmagic's normalisation cannot say how far a flow leaves a side of one pixel.
        flow[:, 0] *= size[1] > 1
        flow[:, 1] *= size[0] > 1
    expected = flow_warp(x, flow.permute(0, 2, 3, 1), padding_mode=padding_mode)
    torch.testing.assert_close(warp(x, flow, padding_mode), expected, atol=1e-5, rtol=1e-4)


def test_moves_by_whole_pixels():
    x = torch.arange(24.0).view(1, 1, 4, 6)
    flow = torch.zeros(1, 2, 4, 6)
    flow[:, 0], flow[:, 1] = 2, -1
    moved = warp(x, flow)
    torch.testing.assert_close(moved[..., 1:, :4], x[..., :3, 2:])
    assert moved[..., 0, :].eq(0).all()
    assert moved[..., 4:].eq(0).all()


def test_one_sampler_serves_maps_of_any_type_layout_and_width():
    flow = torch.rand(1, 2, 6, 7) * 3
    sampler = FlowSampler(flow)
    x = torch.randn(1, 12, 6, 7)
    together = sampler(x)
    apart = torch.cat([sampler(part) for part in x.split((1, 4, 7), dim=1)], 1)
    torch.testing.assert_close(together, apart)
    torch.testing.assert_close(sampler(x.to(memory_format=torch.channels_last)), together)
    low = sampler(x.bfloat16())
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), together, atol=0.05, rtol=0.05)


def test_coordinates_stay_exact_in_bfloat16():
    # 1001 is no bfloat16: a grid of that type would fetch a neighbour.
    x = torch.zeros(1, 1, 1, 1200, dtype=torch.bfloat16)
    x[..., 1001] = 1
    flow = torch.zeros(1, 2, 1, 1200)
    flow[:, 0] = 1
    assert warp(x, flow).argmax().item() == 1000


@pytest.mark.parametrize('padding_mode', ['zeros', 'border'])
def test_gradients(padding_mode):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 2, 3, 4, generator=generator, dtype=torch.double, requires_grad=True)
    flow = 4 * torch.rand(2, 2, 3, 4, generator=generator, dtype=torch.double) - 2
    flow.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, f: warp(x, f, padding_mode), (x, flow))


def test_nan_stays_visible():
    flow = torch.zeros(1, 2, 3, 3)
    flow[0, 0, 1, 1] = float('nan')
    result = warp(torch.ones(1, 1, 3, 3), flow)
    assert result.isnan().sum() == 1
    assert result[0, 0, 1, 1].isnan()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r'\(n, 2, h, w\), but got \(1, 3, 4, 2\)'):
        FlowSampler(torch.zeros(1, 3, 4, 2))
    with pytest.raises(ValueError, match="but got 'reflect'"):
        FlowSampler(torch.zeros(1, 2, 3, 4), 'reflect')
    with pytest.raises(ValueError, match=r'1 x 5 x 4 .* flow is 1 x 3 x 4'):
        warp(torch.zeros(1, 8, 5, 4), torch.zeros(1, 2, 3, 4))


def test_a_side_of_one_pixel_is_left_by_parts():
    flow = torch.full((1, 2, 1, 1), 0.25)
    assert warp(torch.ones(1, 1, 1, 1), flow).item() == pytest.approx(0.75**2)
    assert warp(torch.ones(1, 1, 1, 1), flow, 'border').item() == pytest.approx(1)
