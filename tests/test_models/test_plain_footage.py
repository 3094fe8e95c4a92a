# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What the bundled networks make of footage in which nothing moves, though it may fade.

The bounds of drift are those of the weights as they are, and stand among the limits on their cards
(``s2svr_mm/weights/README.md``); weights that are trained anew should do better.
"""

import numpy as np
import pytest
import torch
from helpers.clips import degrade, moving_clip

from s2svr_mm.models.zoo import list_models, load_model

# By how many grey levels of 255 the mean brightness may err. All but one keep it over windows.
BRIGHTNESS_ERROR = {name: 0.1 for name in list_models()} | {'s2svr_s_deblur': 0.45}
# Mean difference between the outputs for equal frames, in grey levels.
DRIFT = {
    's2svr_s_x4': 3.5,
    's2svr_s_x2_video': 2.6,
    's2svr_s_x4_video': 1.8,
    's2svr_s_compress': 1.2,
    's2svr_s_deblur': 0.6,
}


@pytest.fixture(scope='module', params=list_models())
def bundled(request):
    """A name and its network."""
    return request.param, load_model(request.param)


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
    name, network = bundled
    _, frames = scene_for(network, np.ones(10))
    outputs = restored(network, frames)
    drift = np.abs(outputs - outputs[len(outputs) // 2]).mean((1, 2, 3)).max()
    assert drift < DRIFT[name], f'{name}: {drift:.2f} levels'


def test_slowly_fading_footage(bundled):
    name, network = bundled
    truth, frames = scene_for(network, np.linspace(1, 0.945, 10))
    outputs = restored(network, frames)
    error = np.abs(outputs.mean((1, 2, 3)) - truth.mean((1, 2, 3))).max()
    assert error < BRIGHTNESS_ERROR[name], f'{name}: {error:.2f} levels'


@pytest.mark.parametrize('level', [16, 128, 235])
def test_flat_footage(bundled, level):
    name, network = bundled
    outputs = restored(network, [np.full((24, 32, 3), level, np.uint8)] * 6)
    error = np.abs(outputs.mean((1, 2, 3)) - level).max()
    assert error < BRIGHTNESS_ERROR[name], f'{name}: {error:.2f} levels'
