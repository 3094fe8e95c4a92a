# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import re

import pytest
import torch
from mmagic.registry import MODELS
from mmagic.utils import register_all_modules
from mmengine.runner import load_checkpoint

from benchmarks.reference_s2svr import ReferenceS2SVRNet
from s2svr_mm.models import PWCLite, S2SVRNet


@pytest.fixture
def official(tmp_path):
    torch.manual_seed(0)
    net = ReferenceS2SVRNet(6, 1, 2, 1)
    state_dict = {f'generator.{name}': value for name, value in net.state_dict().items()}
    state_dict['generator.encoder.fution.bias'] = torch.zeros(6)
    torch.save({'state_dict': state_dict}, tmp_path / 'official.pth')
    return net


def test_converted_model_loads_and_gives_the_same(official, run_tool, tmp_path):
    result = run_tool('convert_weights', 'official.pth', 'ours.pth')
    assert result.status == 0, result.output
    assert 'dropped: encoder.fution.bias' in result.output
    register_all_modules()
    estimator = dict(type='PWCLite', padding_mode='zeros')
    generator = dict(
        type='S2SVRNet',
        mid_channels=6,
        num_blocks=1,
        num_layers=2,
        scale=1,
        flow_estimator=estimator,
        flow_input_size=(256, 256),
    )
    model = MODELS.build(
        dict(type='S2SVR', generator=generator, pixel_loss=dict(type='CharbonnierLoss'))
    )
    load_checkpoint(model, str(tmp_path / 'ours.pth'), strict=True)
    lqs = torch.rand(1, 2, 3, 8, 9)
    torch.testing.assert_close(model.generator(lqs), official(lqs), atol=1e-5, rtol=1e-4)


def test_back_gives_the_official_names(official, run_tool, tmp_path):
    ours = S2SVRNet(6, 1, 2, 1)
    torch.save(ours.state_dict(), tmp_path / 'net.pth')
    result = run_tool('convert_weights', 'net.pth', 'back.pth', '--to-official')
    assert result.status == 0, result.output
    official.load_state_dict(torch.load(tmp_path / 'back.pth')['state_dict'])


def test_flow_estimator_loads_through_init_cfg(official, run_tool, tmp_path):
    torch.save({'epoch': 3, 'state_dict': official.pwclite.state_dict()}, tmp_path / 'arflow.tar')
    assert run_tool('convert_weights', 'arflow.tar', 'pwclite.pth').status == 0
    path = str(tmp_path / 'pwclite.pth')
    estimator = PWCLite(init_cfg=dict(type='Pretrained', checkpoint=path))
    estimator.init_weights()
    expected = official.pwclite.flow_estimators.predict_flow[0].weight
    torch.testing.assert_close(estimator.decoder.predict.weight, expected)


def test_basicvsr_of_basicsr_loads_into_mmagics(run_tool, tmp_path):
    register_all_modules()
    generator = dict(type='BasicVSRNet', mid_channels=4, num_blocks=1)
    cfg = dict(type='BasicVSR', generator=generator, pixel_loss=dict(type='CharbonnierLoss'))
    expected = MODELS.build(cfg).generator.state_dict()
    renamed = {}
    for key, value in expected.items():
        key = key.replace('_resblocks.', '_trunk.').replace('upsample_conv.', '')
        key = re.sub(r'^upsample(\d)', r'upconv\1', key)
        key = re.sub(r'(\d)\.conv\.(\w+)$', lambda m: f'{2 * int(m[1])}.{m[2]}', key)
        renamed[key] = value
    torch.save({'params': renamed}, tmp_path / 'basicsr.pth')
    result = run_tool('convert_weights', 'basicsr.pth', 'mmagic.pth')
    assert result.status == 0, result.output
    assert 'upconv1.weight -> upsample1.upsample_conv.weight' in result.output
    model = MODELS.build(cfg)
    load_checkpoint(model, str(tmp_path / 'mmagic.pth'), strict=True)
    for key, value in model.generator.state_dict().items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=0)


def test_weights_of_something_else_are_refused(run_tool, tmp_path):
    torch.save({'backbone.weight': torch.zeros(1)}, tmp_path / 'other.pth')
    result = run_tool('convert_weights', 'other.pth', 'ours.pth')
    assert result.status == 1
    assert 'other.pth: These weights cannot be converted' in result.output
    assert 'Unknown: backbone.weight' in result.output
    assert not (tmp_path / 'ours.pth').exists()


def test_an_older_file_is_kept(official, run_tool, tmp_path):
    (tmp_path / 'ours.pth').write_text('precious')
    result = run_tool('convert_weights', 'official.pth', 'ours.pth')
    assert result.status == 1
    assert 'ours.pth exists already' in result.output
    assert (tmp_path / 'ours.pth').read_text() == 'precious'
    assert run_tool('convert_weights', 'official.pth', 'ours.pth', '--overwrite').status == 0


def test_half_a_file_is_refused(official, run_tool, tmp_path):
    whole = (tmp_path / 'official.pth').read_bytes()
    (tmp_path / 'half.pth').write_bytes(whole[: len(whole) // 2])
    result = run_tool('convert_weights', 'half.pth', 'ours.pth')
    assert result.status == 1
    assert 'half.pth cannot be read' in result.output
