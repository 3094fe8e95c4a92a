# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from mmagic.registry import MODELS
from torch import nn
from torch.nn import functional

import s2svr_mm  # noqa: F401


@pytest.fixture
def network():
    torch.manual_seed(0)
    return MODELS.build(dict(type='BasicVSRX2Net', mid_channels=4, num_blocks=1))


@pytest.fixture
def clip():
    return torch.rand(1, 3, 3, 64, 68)


def test_adds_to_the_frames_enlarged(network, clip):
    nn.init.zeros_(network.conv_last.weight)
    nn.init.constant_(network.conv_last.bias, 0.25)
    enlarged = functional.interpolate(clip[0], scale_factor=2, mode='bilinear')
    torch.testing.assert_close(network(clip)[0], enlarged + 0.25)


def test_every_frame_sees_every_frame(network, clip):
    restored = network(clip)
    for changed in (0, 2):
        other = clip.clone()
        other[:, changed] = torch.rand_like(clip[:, changed])
        assert all((network(other) - restored)[:, i].abs().max() > 1e-6 for i in range(3))


def test_every_weight_learns(network, clip):
    network(clip).square().mean().backward()
    for name, parameter in network.named_parameters():
        # Flow between frames of noise may be out of reach of a gradient.
        if not name.startswith('spynet'):
            assert parameter.grad.abs().max() > 0, name
