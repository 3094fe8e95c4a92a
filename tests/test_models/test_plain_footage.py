# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What the bundled networks make of footage in which nothing moves.

The bounds are those of the weights as they are, and stand among the limits on their cards
(``s2svr_mm/weights/README.md``); weights that are trained anew should do better.
"""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from helpers.clips import degrade, moving_clip

from s2svr_mm.models.zoo import list_models, load_model


@dataclass(frozen=True)
class Bounds:
    """Grey levels of 255.

    Attributes:
        drift: Mean difference between the outputs for equal frames.
        fading: Error of a frame's mean brightness while that falls by 0.6 % a frame.
        flat: Error of the mean brightness of grey frames without any detail.
    """

    drift: float
    fading: float
    flat: float


BOUNDS = {
    's2svr_s_x4': Bounds(drift=3.5, fading=0.6, flat=0.1),
    's2svr_s_x2_video': Bounds(drift=2.6, fading=0.3, flat=0.5),
    's2svr_s_x4_video': Bounds(drift=1.8, fading=0.4, flat=0.55),
    's2svr_s_compress': Bounds(drift=1.2, fading=0.75, flat=0.35),
    's2svr_s_deblur': Bounds(drift=1.1, fading=1.0, flat=0.25),
}


@pytest.fixture(scope='module', params=list_models())
def bundled(request):
    """A name, its network and its bounds."""
    return request.param, load_model(request.param), BOUNDS[request.param]


def restored(network, frames):
    """Frames (t, h, w, 3) through the network alone, in [0, 255]."""
    lqs = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[None].float() / 255
    with torch.no_grad():
        outputs = network(lqs)[0].clamp(0, 1) * 255
    return outputs.permute(0, 2, 3, 1).numpy()


def scene_for(network, fades):
    """Ground truth of a scene that fades, and what the network is given."""
    scene = moving_clip(1, 64, 96)[0]
    truth = np.stack([np.round(scene * fade) for fade in fades]).astype(np.uint8)
    return truth, degrade(truth, network.scale) if network.scale > 1 else truth


def test_frozen_footage(bundled):
    name, network, bounds = bundled
    _, frames = scene_for(network, np.ones(10))
    outputs = restored(network, frames)
    drift = np.abs(outputs - outputs[len(outputs) // 2]).mean((1, 2, 3)).max()
    assert drift < bounds.drift, f'{name}: {drift:.2f} levels'


def test_slowly_fading_footage(bundled):
    name, network, bounds = bundled
    truth, frames = scene_for(network, np.linspace(1, 0.945, 10))
    outputs = restored(network, frames)
    error = np.abs(outputs.mean((1, 2, 3)) - truth.mean((1, 2, 3))).max()
    assert error < bounds.fading, f'{name}: {error:.2f} levels'


@pytest.mark.parametrize('level', [16, 128, 235])
def test_flat_footage(bundled, level):
    name, network, bounds = bundled
    outputs = restored(network, [np.full((24, 32, 3), level, np.uint8)] * 6)
    error = np.abs(outputs.mean((1, 2, 3)) - level).max()
    assert error < bounds.flat, f'{name}: {error:.2f} levels'
