# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import torch
from mmagic.registry import MODELS
from torch import nn
from torch.nn import functional

import s2svr_mm  # noqa: F401


# What all baselines have in common is tested in test_basicvsr_same_size.py.
def test_adds_to_the_frames_enlarged():
    torch.manual_seed(0)
    network = MODELS.build(dict(type='BasicVSRX2Net', mid_channels=4, num_blocks=1))
    nn.init.zeros_(network.conv_last.weight)
    nn.init.constant_(network.conv_last.bias, 0.25)
    clip = torch.rand(1, 3, 3, 64, 68)
    enlarged = functional.interpolate(clip[0], scale_factor=2, mode='bilinear')
    torch.testing.assert_close(network(clip)[0], enlarged + 0.25)
