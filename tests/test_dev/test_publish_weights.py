# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import hashlib
import io
import json

import pytest
import torch
from mmagic.registry import MODELS

from s2svr_mm.checkpoints import shipped
from s2svr_mm.models import PWCLite, S2SVRNet
from s2svr_mm.models.zoo import load_model

GENERATOR = dict(
    type='S2SVRNet',
    mid_channels=4,
    num_blocks=1,
    num_layers=2,
    scale=2,
    flow_estimator=dict(type='PWCLite', init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth')),
)
DESCRIPTION = ('--about', 'to try it', '--task', 'sr', '--data', 'noise')


@pytest.fixture
def networks_to_publish(tmp_path):
    """A flow network and a restorer, whose configs and checkpoints are written."""
    torch.manual_seed(0)
    estimator, network = PWCLite(), S2SVRNet(4, 1, 2, scale=2)
    for name, module, prefix in (('flow', estimator, 'estimator'), ('net', network, 'generator')):
        state = {f'{prefix}.{key}': value for key, value in module.state_dict().items()}
        torch.save(dict(state_dict=state), tmp_path / f'{name}.pth')
    (tmp_path / 'flow.py').write_text(
        "model = dict(type='UnsupervisedFlow', estimator=dict(type='PWCLite'))\n"
    )
    (tmp_path / 'net.py').write_text(f"model = dict(type='S2SVR', generator={GENERATOR!r})\n")
    return estimator, network


@pytest.fixture
def publish(run_tool, tmp_path):
    def run(kind, *options):
        (tmp_path / 'weights').mkdir(exist_ok=True)
        arguments = (f'{kind}.py', f'{kind}.pth', f'small-{kind}', '--folder', 'weights')
        return run_tool('dev/publish_weights', *arguments, *options)

    return run


def test_flow_estimator_loads_by_its_name(networks_to_publish, publish, tmp_path, monkeypatch):
    result = publish('flow')
    assert result.status == 0, result.output
    file = tmp_path / 'weights' / 'small-flow.pth'
    assert hashlib.sha256(file.read_bytes()).hexdigest() in result.output
    half = io.BytesIO()
    torch.save({k: v.half() for k, v in networks_to_publish[0].state_dict().items()}, half)
    assert file.stat().st_size < 0.97 * len(half.getvalue())
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path / 'weights')
    loaded = PWCLite(init_cfg=dict(type='Pretrained', checkpoint='s2svr://small-flow'))
    loaded.init_weights()
    expected = networks_to_publish[0].state_dict()
    torch.testing.assert_close(loaded.state_dict(), expected, rtol=1e-3, atol=1e-6)
    assert not (tmp_path / 'weights' / 'models.json').exists()


def test_network_is_listed_and_loads(networks_to_publish, publish, tmp_path, monkeypatch):
    result = publish('net')
    assert result.status == 1
    assert '--about' in result.output
    assert not list((tmp_path / 'weights').iterdir())
    result = publish('net', *DESCRIPTION)
    assert result.status == 0, result.output
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path / 'weights')
    monkeypatch.setattr(shipped, 'CONFIG_FOLDERS', [tmp_path])
    loaded = load_model('small-net').state_dict()
    expected = networks_to_publish[1].state_dict()
    torch.testing.assert_close(loaded, expected, rtol=1e-3, atol=1e-6)
    model = shipped.bundled_model('small-net')
    assert (model.about, model.task, model.data) == ('to try it', 'sr', 'noise')
    assert (model.scale, model.smallest_frame, model.config) == (2, 1, 'net.py')

    # New weights keep the description, but not the figures of the old ones.
    path = tmp_path / 'weights' / 'models.json'
    entries = json.loads(path.read_text())
    entries['small-net']['metrics'] = [dict(on='Vid4', PSNR='99 dB')]
    path.write_text(json.dumps(entries))
    assert publish('net', '--overwrite', '--about', 'to try it again').status == 0
    model = shipped.bundled_model('small-net')
    assert (model.about, model.data, model.metrics) == ('to try it again', 'noise', [])


def test_network_goes_into_its_whole_model(networks_to_publish, publish, tmp_path):
    assert publish('net', *DESCRIPTION).status == 0
    pixel_loss = dict(type='CharbonnierLoss')
    model = MODELS.build(dict(type='S2SVR', generator=GENERATOR, pixel_loss=pixel_loss))
    published = torch.load(tmp_path / 'weights' / 'small-net.pth', weights_only=True)
    model.load_state_dict({k: v.float() for k, v in published['state_dict'].items()})
    expected = networks_to_publish[1].state_dict()
    torch.testing.assert_close(model.generator.state_dict(), expected, rtol=1e-3, atol=1e-6)


def test_weights_of_the_name_stay(networks_to_publish, publish, tmp_path):
    older = tmp_path / 'weights' / 'small-flow.pth'
    older.parent.mkdir()
    older.write_bytes(b'older')
    result = publish('flow')
    assert result.status == 1
    assert 'exists already' in result.output
    assert older.read_bytes() == b'older'
    assert publish('flow', '--overwrite').status == 0


def test_what_half_precision_can_not_hold_is_refused(networks_to_publish, publish, tmp_path):
    state = networks_to_publish[0].state_dict()
    state['decoder.predict.bias'] += 1e6
    torch.save(dict(state_dict=state), tmp_path / 'flow.pth')
    result = publish('flow')
    assert result.status == 1
    assert 'decoder.predict.bias' in result.output
    assert not list((tmp_path / 'weights').iterdir())
