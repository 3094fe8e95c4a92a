# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Our network against figures that the official one produced.

``data/official_outputs.npz`` holds two runs of the official network (linjing7/VR-Baseline) on a
CPU in float32: inputs ``x``, every fifth (x4) or second (x1) pixel of the outputs ``y``, every
second pixel of the flows ``ff`` and ``fb``. As no official weights exist, each was set by
:func:`official_parameter` from its official name.
"""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from s2svr_mm.models import S2SVRNet
from s2svr_mm.models.conversion import from_official, to_official

FIGURES = Path(__file__).parent / 'data' / 'official_outputs.npz'


def official_parameter(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    std = 0.02 if name.endswith('bias') else np.sqrt(1 / np.prod(shape[1:]))
    return torch.from_numpy((generator.standard_normal(shape) * std).astype(np.float32))


@pytest.mark.parametrize(('case', 'scale', 'step'), [('sr', 4, 5), ('deblur', 1, 2)])
def test_equals_the_official_network(case, scale, step):
    net = S2SVRNet(
        16,
        2,
        3,
        scale,
        flow_estimator=dict(type='PWCLite', padding_mode='zeros'),
        flow_input_size=(256, 256),
    ).eval()
    shapes = {name: tuple(w.shape) for name, w in to_official(net.state_dict()).items()}
    official = {name: official_parameter(name, shape) for name, shape in shapes.items()}
    net.load_state_dict(from_official(official))
    figures = {k: torch.from_numpy(v) for k, v in np.load(FIGURES).items()}
    lqs = figures[f'{case}_x']
    with torch.no_grad():
        flows = net.compute_flow(lqs)
        restored = net(lqs)
    for found, name in zip(flows, ('ff', 'fb'), strict=True):
        difference = found[..., ::2, ::2] - figures[f'{case}_{name}']
        assert difference.abs().max() < 1e-4
    assert (restored[..., ::step, ::step] - figures[f'{case}_y']).abs().max() < 1e-4
