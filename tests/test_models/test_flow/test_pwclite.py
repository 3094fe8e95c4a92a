# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from itertools import pairwise

import pytest
import torch
from torch import nn

from s2svr_mm.models import PWCLite
from s2svr_mm.models.flow import neighbour_flows
from s2svr_mm.ops import chunking
from s2svr_mm.ops.resize_flow import resize_flow


@pytest.fixture
def estimator():
    torch.manual_seed(0)
    return PWCLite().eval()


def test_has_the_published_number_of_parameters(estimator):
    assert sum(p.numel() for p in estimator.parameters()) == 2_236_660


@pytest.mark.parametrize('size', [(64, 128), (33, 70), (1, 1), (100, 5)])
def test_any_size(estimator, size):
    ref, supp = torch.rand(2, 2, 3, *size)
    flow = estimator(ref, supp)
    assert flow.shape == (2, 2, *size)
    assert flow.isfinite().all()


def test_untrained_it_says_that_nothing_moves():
    estimator = PWCLite()
    estimator.init_weights()
    ref, supp = torch.rand(2, 1, 3, 64, 64)
    flow = estimator(ref, supp)
    assert flow.eq(0).all()
    flow.sum().backward()
    assert estimator.decoder.predict.weight.grad.abs().sum() > 0


def test_neighbour_flows_equal_pairs_in_any_chunks(estimator, monkeypatch):
    frames = list(torch.rand(4, 2, 3, 40, 70))
    expected = (
        [estimator(b, a) for a, b in pairwise(frames)],
        [estimator(a, b) for a, b in pairwise(frames)],
    )
    for limit in (1, 2 * 2 * 40 * 70, 10**9):
        monkeypatch.setattr(chunking, 'max_pixels', lambda _, limit=limit: limit)
        torch.testing.assert_close(estimator.neighbour_flows(frames), expected)


def test_any_module_of_two_frames_is_an_estimator():
    class Difference(nn.Module):
        def forward(self, ref, supp):
            return (ref - supp)[:, :2]

    frames = list(torch.rand(3, 1, 3, 4, 6))
    forwards, backwards = neighbour_flows(Difference(), frames)
    for i in range(2):
        torch.testing.assert_close(forwards[i], (frames[i + 1] - frames[i])[:, :2])
        torch.testing.assert_close(backwards[i], -forwards[i])


def test_resized_flow_counts_in_its_own_pixels():
    flow = torch.ones(1, 2, 8, 16)
    resized = resize_flow(flow, (16, 8))
    torch.testing.assert_close(resized[:, 0], torch.full((1, 16, 8), 0.5))
    torch.testing.assert_close(resized[:, 1], torch.full((1, 16, 8), 2.0))


def test_gradients_reach_every_parameter(estimator):
    flows = estimator.neighbour_flows(list(torch.rand(2, 1, 3, 64, 64)))
    sum(flow.abs().sum() for direction in flows for flow in direction).backward()
    for name, parameter in estimator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_bad_input_is_named(estimator):
    with pytest.raises(ValueError, match=r'\(1, 3, 8, 8\) and \(1, 3, 8, 9\)'):
        estimator(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9))
    with pytest.raises(ValueError, match="got 'wrap'"):
        PWCLite(padding_mode='wrap')
