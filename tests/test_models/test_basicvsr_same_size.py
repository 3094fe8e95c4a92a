# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from mmagic.registry import MODELS
from torch import nn
from torch.nn import functional

import s2svr_mm  # noqa: F401

SAME_SIZE = [
    dict(type='BasicVSRSameSizeNet', unshuffle=1),
    dict(type='BasicVSRSameSizeNet', unshuffle=2),
]


@pytest.fixture
def network(request):
    torch.manual_seed(0)
    return MODELS.build(dict(mid_channels=4, num_blocks=1, **request.param))


@pytest.fixture
def clip():
    return torch.rand(1, 3, 3, 64, 64)


@pytest.mark.parametrize('network', SAME_SIZE, indirect=True)
def test_adds_to_the_frames(network, clip):
    nn.init.zeros_(network.conv_last.weight)
    nn.init.constant_(network.conv_last.bias, 0.25)
    torch.testing.assert_close(network(clip), clip + 0.25)
    clip = clip[..., :63, :61]
    torch.testing.assert_close(network(clip), clip + 0.25)


@pytest.mark.parametrize('network', [*SAME_SIZE, dict(type='BasicVSRX2Net')], indirect=True)
def test_every_frame_sees_every_frame(network, clip):
    restored = network(clip)
    for changed in (0, 2):
        other = clip.clone()
        other[:, changed] = torch.rand_like(clip[:, changed])
        assert all((network(other) - restored)[:, i].abs().max() > 1e-6 for i in range(3))


@pytest.mark.parametrize('network', [*SAME_SIZE, dict(type='BasicVSRX2Net')], indirect=True)
def test_every_weight_learns(network, clip):
    network(clip).square().mean().backward()
    for name, parameter in network.named_parameters():
        # Flow between frames of noise may be out of reach of a gradient.
        if not name.startswith('spynet'):
            assert parameter.grad.abs().max() > 0, name


def test_flow_of_unshuffled_frames_is_that_of_the_frames(clip):
    torch.manual_seed(0)
    network = MODELS.build(
        dict(type='BasicVSRSameSizeNet', mid_channels=4, num_blocks=1, unshuffle=2)
    )
    nn.init.constant_(network.spynet.basic_module[-1].basic_module[-1].conv.bias, 3.0)
    network.check_if_mirror_extended(clip)
    small = functional.pixel_unshuffle(clip, 2)
    for flow, of_small in zip(network.compute_flow(clip), network.compute_flow(small), strict=True):
        assert flow.shape == (1, 2, 2, 64, 64)
        expected = functional.avg_pool2d(flow[0], 2)[None] / 2
        torch.testing.assert_close(of_small, expected)
        assert expected.abs().mean() > 1
