# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import hashlib

import pytest
import torch
from helpers.clips import moving_clip
from mmagic.registry import MODELS
from mmagic.utils import register_all_modules

from s2svr_mm.checkpoints import shipped
from s2svr_mm.errors import CheckpointError
from s2svr_mm.models import PWCLite
from s2svr_mm.models.conversion import to_official


@pytest.fixture
def trained():
    torch.manual_seed(0)
    return PWCLite()


def pretrained(path, normalize_features=False, **kwargs):
    init_cfg = dict(type='Pretrained', checkpoint=str(path), **kwargs)
    return PWCLite(normalize_features=normalize_features, init_cfg=init_cfg)


def test_half_precision_weights_load_as_single(trained, tmp_path):
    half = {name: value.half() for name, value in trained.state_dict().items()}
    torch.save(dict(state_dict=half), tmp_path / 'half.pth')
    estimator = pretrained(tmp_path / 'half.pth')
    estimator.init_weights()
    for name, value in estimator.state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, half[name].float())


def test_weights_under_a_prefix(trained, tmp_path):
    """The one that is given; else where it fits, that of a student before that of its teacher."""
    other = PWCLite()
    inside = {f'estimator.{k}': v for k, v in trained.state_dict().items()}
    inside |= {f'flow_head.teacher.{k}': v for k, v in other.state_dict().items()}
    torch.save(dict(state_dict=inside), tmp_path / 'a.pth')
    for options, expected in (({}, trained), (dict(prefix='flow_head.teacher'), other)):
        estimator = pretrained(tmp_path / 'a.pth', **options)
        estimator.init_weights()
        torch.testing.assert_close(estimator.state_dict(), expected.state_dict(), rtol=0, atol=0)
    with pytest.raises(CheckpointError, match=r"under the prefix 'generator'"):
        pretrained(tmp_path / 'a.pth', prefix='generator').init_weights()


def test_keys_that_do_not_fit_are_named_and_nothing_is_loaded(trained, tmp_path):
    state = trained.state_dict()
    del state['decoder.predict.bias']
    state['decoder.extra'] = torch.zeros(1)
    state['context.last.weight'] = torch.zeros(2, 32, 5, 5)
    torch.save(state, tmp_path / 'wrong.pth')
    estimator = pretrained(tmp_path / 'wrong.pth')
    before = {name: value.clone() for name, value in estimator.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        estimator.init_weights()
    for text in (
        'wrong.pth',
        '1 missing: decoder.predict.bias',
        '1 unexpected: decoder.extra',
        '1 of another shape: context.last.weight (2, 32, 5, 5) instead of (2, 32, 3, 3)',
    ):
        assert text in str(error.value)
    torch.testing.assert_close(estimator.state_dict(), before, rtol=0, atol=0)


def test_official_names_are_recognised(trained, tmp_path):
    torch.save(to_official(trained.state_dict()), tmp_path / 'pwclite.pth')
    with pytest.raises(CheckpointError, match=r'tools/convert_weights\.py'):
        pretrained(tmp_path / 'pwclite.pth').init_weights()


def test_weights_of_the_package(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, 'FOLDER', tmp_path)
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'flow_a.pth')
    estimator = pretrained('s2svr://flow_a')
    estimator.init_weights()
    torch.testing.assert_close(estimator.state_dict(), trained.state_dict())
    with pytest.raises(CheckpointError, match=r's2svr://flow_b .* there are: flow_a'):
        pretrained('s2svr://flow_b').init_weights()


@pytest.mark.parametrize('name', ['flow_teacher', 'flow_student'])
def test_shipped_flow_sees_how_a_texture_moves(name):
    register_all_modules()
    estimator = MODELS.build(
        dict(
            type='FinePWCLite',
            coarse=dict(type='PWCLite', normalize_features=True, context_levels=4),
            init_cfg=dict(type='Pretrained', checkpoint=f's2svr://{name}'),
        )
    )
    estimator.init_weights()
    clip = (
        torch.from_numpy(moving_clip(2, 128, 128, (3.0, -2.0), 0.0)).permute(0, 3, 1, 2).float()
        / 255
    )
    with torch.no_grad():
        flow = estimator(clip[:1], clip[1:])[0, :, 16:-16, 16:-16]
        still = estimator(clip[:1], clip[:1])[0, :, 16:-16, 16:-16]
    expected = torch.tensor([3.0, -2.0]).view(2, 1, 1)
    assert (flow - expected).norm(dim=0).mean() < 0.1
    assert still.norm(dim=0).mean() < 0.05


def test_every_weight_that_comes_along_has_its_card():
    card = (shipped.FOLDER / 'README.md').read_text()
    files = sorted(shipped.FOLDER.glob('*.pth'))
    assert files
    for file in files:
        assert f's2svr://{file.stem}' in card
        assert hashlib.sha256(file.read_bytes()).hexdigest() in card, file
        assert file.stat().st_size < 6e6
