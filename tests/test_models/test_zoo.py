# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json

import cv2
import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F
from helpers.tool_process import CHECKOUT
from mmagic.models.editors import BasicVSRNet
from mmagic.registry import TRANSFORMS

from s2svr_mm.checkpoints import shipped
from s2svr_mm.checkpoints.shipped import bundled_models
from s2svr_mm.errors import CheckpointError, ConfigError
from s2svr_mm.models.input_requirements import requirements_of
from s2svr_mm.models.s2svr_net import S2SVRNet
from s2svr_mm.models.zoo import list_models, load_model

# The weights that it would fetch lie in the checkpoint already.
BASICVSR = dict(
    type='BasicVSRNet', mid_channels=4, num_blocks=1, spynet_pretrained='https://nowhere.invalid/s'
)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'basicvsr.py'
    path.write_text(f"model = dict(type='BasicVSR', generator={BASICVSR!r})\n")
    return str(path)


def state_of(network, prefix=''):
    return {prefix + key: value for key, value in network.state_dict().items()}


def assert_same(network, expected):
    found = network.state_dict()
    assert found.keys() == expected.state_dict().keys()
    assert all(torch.equal(found[key], value) for key, value in expected.state_dict().items())


@pytest.mark.parametrize('prefix', ['', 'generator.', 'generator_ema.'])
def test_basicvsr_of_mmagic(config, tmp_path, prefix):
    """By its config and any checkpoint of it; averaged weights come first."""
    network, other = BasicVSRNet(4, 1), BasicVSRNet(4, 1)
    state = state_of(network, prefix)
    if prefix == 'generator_ema.':
        state.update(state_of(other, 'generator.'))
    if prefix:
        state['step_counter'] = torch.zeros(1)
    path = str(tmp_path / 'a.pth')
    torch.save(dict(state_dict=state, meta={}) if prefix else state, path)
    assert_same(load_model(config, path), network)


def test_weights_of_another_network_are_refused(config, tmp_path):
    path = str(tmp_path / 'a.pth')
    torch.save(state_of(BasicVSRNet(8, 1)), path)
    with pytest.raises(CheckpointError, match=r'a\.pth'):
        load_model(config, path)


def test_config_without_a_network(tmp_path):
    (tmp_path / 'none.py').write_text("a = 1\nmodel = dict(type='S2SVR')\n")
    with pytest.raises(ConfigError, match=r'none\.py has no model with a generator'):
        load_model(str(tmp_path / 'none.py'), 'a.pth')


def test_bundled_models_by_name(tmp_path, monkeypatch):
    network = S2SVRNet(4, 1, 2, scale=2)
    torch.save(state_of(network), tmp_path / 's2svr-tiny.pth')
    generator = dict(type='S2SVRNet', mid_channels=4, num_blocks=1, num_layers=2, scale=2)
    (tmp_path / 'tiny.py').write_text(f"model = dict(type='S2SVR', generator={generator!r})\n")
    entry = dict(about='to try it', task='sr', scale=2, smallest_frame=1, config='tiny.py')
    entry |= dict(metrics=[], data='noise', licence='CC0')
    (tmp_path / 'models.json').write_text(json.dumps({'s2svr-tiny': entry}))
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path)
    monkeypatch.setattr(shipped, 'CONFIG_FOLDERS', [tmp_path])
    assert list_models() == ['s2svr-tiny']
    assert_same(load_model('s2svr-tiny'), network)
    assert not load_model('s2svr-tiny').training
    with pytest.raises(
        ConfigError, match=r'Did you mean s2svr-tiny\?(.|\n)*to try it; scale 2, smallest frame 1x1'
    ):
        load_model('s2svr-tini')
    with pytest.raises(ConfigError, match=r'tiny\.py is a config: give a checkpoint'):
        load_model(tmp_path / 'tiny.py')


def moving_shapes(t, size):
    """Frames (t, size, size, 3), uint8, of a wall of rectangles with clean edges that moves."""
    rng = np.random.default_rng(0)
    wall = np.full((4 * size + 256, 4 * size + 256, 3), 128, np.uint8)
    for _ in range(300):
        x, y = rng.integers(0, len(wall), 2).tolist()
        box = (x, y, *rng.integers(20, 120, 2).tolist())
        cv2.rectangle(wall, box, rng.integers(0, 256, 3).tolist(), -1)
    crops = [wall[2 * i : 4 * size + 2 * i, 5 * i : 4 * size + 5 * i] for i in range(t)]
    return np.stack([cv2.resize(c, (size, size), interpolation=cv2.INTER_AREA) for c in crops])


def moving_photograph(t, size):
    """Frames (t, size, size, 3), uint8, of a camera that moves over a photograph."""
    picture = skimage.data.astronaut()
    return np.stack(
        [picture[2 * i : 2 * i + size, 60 + 3 * i : 60 + 3 * i + size] for i in range(t)]
    )


# What a model that comes along is for, and by how many decibels it must beat the input or what
# bicubic makes of it.
DEGRADATIONS = {
    's2svr_s_x4': (dict(type='BicubicDownsample', scale=4), 0.5),
    's2svr_s_x2_video': (dict(type='BicubicDownsample', scale=2), 0.5),
    's2svr_s_x4_video': (dict(type='BicubicDownsample', scale=4), 0.4),
    # Learnt on frames that were converted too dark, it gains little on others (its card).
    's2svr_s_compress': (dict(type='CompressVideo', qp=37), 0.05),
    's2svr_s_deblur': (dict(type='AverageMotionBlur', num_frames=5), 0.5),
}


@pytest.mark.parametrize('name', list_models())
def test_bundled_models_are_what_their_data_say(name):
    model, network = bundled_models()[name], load_model(name)
    assert name in DEGRADATIONS
    assert model.scale == network.scale
    assert model.smallest_frame == requirements_of(network).side
    side = model.smallest_frame
    with torch.inference_mode():
        restored = network(torch.rand(1, 1, 3, side, side))
    assert restored.shape[-2:] == (side * model.scale, side * model.scale)
    card = (shipped.FOLDER / 'README.md').read_text().replace('\n', ' ')
    for measured in model.metrics:
        for figure in set(measured) - {'on'}:
            assert measured[figure].removesuffix(' dB') in card, measured


@pytest.mark.parametrize('name', DEGRADATIONS)
def test_models_that_come_along_restore(name):
    degradation, gain = DEGRADATIONS[name]
    # One learnt from natural video alone, and what has clean edges gains little there (its card).
    scene = moving_photograph if name.endswith('_video') else moving_shapes
    clip = TRANSFORMS.build(degradation)(dict(gt=list(scene(11, 96))))
    lq, gt = clip['img'], np.stack(clip['gt'])
    frames = torch.from_numpy(np.stack(lq)).permute(0, 3, 1, 2)[None].float() / 255
    with torch.inference_mode():
        restored = load_model(name).eval()(frames)[0]
    floor = F.interpolate(frames[0], gt.shape[1:3], mode='bicubic')
    truth = torch.from_numpy(gt).permute(0, 3, 1, 2) / 255

    def error(images):
        return (images.clamp(0, 1) - truth).square().mean().item()

    assert error(restored) < error(floor) * 10 ** (-gain / 10)


def test_models_that_come_along_by_config_and_scheme():
    by_scheme = load_model(str(CHECKOUT / 'configs' / 's2svr_s_x4.py'), 's2svr://s2svr_s_x4')
    assert_same(by_scheme, load_model('s2svr_s_x4'))
