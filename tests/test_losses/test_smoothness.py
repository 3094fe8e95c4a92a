# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch

from s2svr_mm.losses import EdgeAwareSmoothnessLoss


def test_gradient_by_finite_differences():
    generator = torch.Generator().manual_seed(0)
    flow = torch.randn(1, 2, 4, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    frame = torch.rand(1, 3, 4, 5, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: EdgeAwareSmoothnessLoss()(f, frame), flow)


def test_an_edge_of_the_frame_allows_one_of_the_flow():
    """|grad f| exp(-10 |grad I|): a step of 2 pixels of flow at a step of 0.3 of the frame."""
    flow, frame = torch.zeros(1, 2, 4, 5), torch.zeros(1, 3, 4, 5)
    flow[:, 0, :, 2:] = 2
    plain = EdgeAwareSmoothnessLoss(loss_weight=3.0)(flow, frame)
    # Of 4 differences in a row one is 2, in one of the two components; halved as in ARFlow.
    assert plain.item() == pytest.approx(3 * 2 / 4 / 2 / 2)
    frame[..., 2:] = 0.3
    edge = EdgeAwareSmoothnessLoss(loss_weight=3.0)(flow, frame)
    assert edge.item() == pytest.approx(plain.item() * torch.tensor(-3.0).exp().item())


def test_constant_flow_costs_nothing_and_has_finite_gradients():
    flow = torch.full((1, 2, 4, 5), 7.0, requires_grad=True)
    loss = EdgeAwareSmoothnessLoss()(flow, torch.full((1, 3, 4, 5), 0.5))
    loss.backward()
    assert loss.item() == 0
    assert flow.grad.isfinite().all()


@pytest.mark.parametrize(('size', 'frame'), [((1, 5), (1, 5)), ((4, 5), (4, 6))])
def test_bad_sizes_are_named(size, frame):
    with pytest.raises(ValueError, match='of one size from 2x2, but got'):
        EdgeAwareSmoothnessLoss()(torch.zeros(1, 2, *size), torch.zeros(1, 3, *frame))
