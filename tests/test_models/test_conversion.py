# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch

from benchmarks.reference_s2svr import ReferenceS2SVRNet
from s2svr_mm.errors import CheckpointError
from s2svr_mm.models import PWCLite, S2SVRNet
from s2svr_mm.models.conversion import ConversionReport, from_official, to_official


@pytest.fixture(scope='module')
def official() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return ReferenceS2SVRNet(8, 2, 3, 4).state_dict()


def assert_same(found, expected):
    assert sorted(found) == sorted(expected)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0, msg=name)


def test_there_and_back(official):
    assert_same(to_official(from_official(official)), official)


def test_every_key_is_accounted_for(official):
    unused = {
        f'encoder.{name}.{part}': torch.zeros(1)
        for name in ('fution', 'conv_1', 'conv_2', 'conv_out')
        for part in ('weight', 'bias')
    }
    report = ConversionReport()
    ours = from_official({**official, **unused}, report)
    assert sorted(report.dropped) == sorted(unused)
    assert set(report.converted) == set(ours)
    assert {key for keys in report.converted.values() for key in keys} == set(official)
    lines = str(report).splitlines()
    assert len(lines) == len(ours) + len(unused)
    assert 'dropped: encoder.fution.weight' in lines


@pytest.mark.parametrize('wrapper', ['module.', 'generator.', 'module.generator.'])
def test_wrappers_are_taken_off(official, wrapper):
    wrapped = {wrapper + name: value for name, value in official.items()}
    wrapped['step_counter'] = torch.zeros(1)
    assert_same(from_official(wrapped), from_official(official))


def test_arflow_alone(official):
    alone = {
        name.removeprefix('pwclite.'): value
        for name, value in official.items()
        if name.startswith('pwclite.')
    }
    ours = from_official(alone)
    PWCLite().load_state_dict(ours)
    assert_same(to_official(ours), alone)


def test_unknown_missing_and_misshapen_keys_are_all_listed(official):
    wrong = dict(official)
    wrong['decoder.conv_out_9.weight'] = torch.zeros(1)
    del wrong['encoder.encoder_layers.0.conv_gru.convr.bias']
    wrong['pwclite.conv_1x1.0.0.weight'] = torch.zeros(3, 3)
    wrong['decoder.convgru_layers.1.convq.weight'] = torch.zeros(8, 20, 3, 3)
    with pytest.raises(CheckpointError, match='cannot be converted') as error:
        from_official(wrong)
    message = str(error.value)
    assert 'Unknown: decoder.conv_out_9.weight.' in message
    assert 'Missing: encoder.encoder_layers.0.conv_gru.convr.bias.' in message
    assert 'pwclite.conv_1x1.0.0.weight (3, 3), expected (32, 192, 1, 1)' in message
    assert 'decoder.convgru_layers.1.convq.weight' in message.split('Misshapen:')[1]


def test_back_is_as_strict(official):
    ours = from_official(official)
    ours['decoder.output.convs.1.bias'] = torch.zeros(7)
    ours['decoder.other'] = torch.zeros(1)
    del ours['flow_estimator.context.last.weight']
    with pytest.raises(CheckpointError, match='cannot be converted') as error:
        to_official(ours)
    message = str(error.value)
    assert 'decoder.output.convs.1.bias (7,), expected (16,)' in message
    assert 'Unknown: decoder.other.' in message
    assert 'Missing: flow_estimator.context.last.weight.' in message


@pytest.mark.parametrize('weights', [{}, {'backbone.conv.weight': torch.zeros(1)}])
def test_weights_of_something_else(weights):
    with pytest.raises(CheckpointError, match='Missing'):
        from_official(weights)


@pytest.mark.parametrize(('layers', 'scale'), [(1, 1), (2, 2), (4, 4)])
def test_other_depths(layers, scale):
    state_dict = ReferenceS2SVRNet(6, 3, layers, scale).state_dict()
    S2SVRNet(6, 3, layers, scale).load_state_dict(from_official(state_dict))
