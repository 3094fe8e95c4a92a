# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from s2svr_mm.ops.bilateral_filter import filter_flow
from s2svr_mm.ops.warp import warp


def halves(size=16):
    """A frame of two colours, and a flow that differs between them."""
    frame = torch.zeros(1, 3, size, size)
    frame[..., size // 2 :] = 0.8
    flow = torch.zeros(1, 2, size, size)
    flow[:, 0, :, size // 2 :] = 2.0
    return frame, flow


def test_it_is_what_a_loop_over_pixels_finds():
    torch.manual_seed(0)
    ref, supp = torch.rand(2, 1, 3, 6, 7)
    flow = torch.randn(1, 2, 6, 7)
    match = np.exp(-(ref - warp(supp, flow, 'border')).abs().mean(1)[0].numpy() / 0.2)
    r, f = ref[0].numpy(), flow[0].numpy()
    expected = np.zeros_like(f)
    for y, x in np.ndindex(6, 7):
        total = 0.0
        for dy in (-2, 0, 2):
            for dx in (-2, 0, 2):
                at = min(max(y + dy, 0), 5), min(max(x + dx, 0), 6)
                apart = ((r[(..., *at)] - r[:, y, x]) ** 2).sum()
                weight = np.exp(-apart / (2 * 0.3**2)) * match[at]
                expected[:, y, x] += weight * f[(..., *at)]
                total += weight
        expected[:, y, x] /= total
    found = filter_flow(ref, supp, flow, (2,), 0.3, 0.2)
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-4, atol=1e-5)


def test_noise_goes_and_edges_stay():
    torch.manual_seed(0)
    frame, flow = halves()
    noise = 0.2 * torch.randn_like(flow)
    error = filter_flow(frame, frame, flow + noise) - flow
    assert error.std() < 0.4 * noise.std()
    assert error.abs().max() < 0.5
    torch.testing.assert_close(filter_flow(frame, frame, flow), flow, rtol=0, atol=1e-3)


def test_a_flow_that_fits_badly_takes_over_that_of_its_neighbours():
    """A pixel of a textured frame, not told by its colour, whose flow points elsewhere."""
    torch.manual_seed(0)
    frame = 0.5 + 0.05 * torch.randn(1, 3, 24, 24)
    flow = torch.zeros(1, 2, 24, 24)
    flow[..., 12, 12] = 5.0
    found = filter_flow(frame, frame, flow)
    assert found[..., 12, 12].abs().max() < 2.0
    assert found.sum() < flow.sum()


@pytest.mark.parametrize('size', [(1, 1), (3, 2), (9, 16)])
def test_a_constant_flow_stays_at_any_size(size):
    """So it does where no pixel matches."""
    flow = torch.tensor([1.5, -0.25]).view(1, 2, 1, 1).expand(2, 2, *size)
    black, white = torch.zeros(2, 3, *size), torch.ones(2, 3, *size)
    for supp in (black, white):
        torch.testing.assert_close(filter_flow(black, supp, flow), flow)


def test_half_precision_is_computed_in_single():
    frame, flow = halves()
    found = filter_flow(frame.bfloat16(), frame.bfloat16(), flow)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, flow, rtol=0, atol=1e-3)


def test_gradients_of_the_averages():
    """On frames without texture the weights do not depend on the flow."""
    torch.manual_seed(0)
    frame = torch.full((1, 3, 4, 5), 0.5).double()
    flow = torch.randn(1, 2, 4, 5).double().requires_grad_()
    assert gradcheck(lambda x: filter_flow(frame, frame, x, (2, 1)), flow)
