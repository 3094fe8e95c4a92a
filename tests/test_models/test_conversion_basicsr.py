# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from mmagic.models.editors import BasicVSRNet

from s2svr_mm.errors import CheckpointError
from s2svr_mm.models.conversion import ConversionReport
from s2svr_mm.models.conversion_basicsr import from_basicsr_basicvsr, is_basicsr_basicvsr

# Parts of mmagic's names and of BasicSR's, written down from both networks.
TO_BASICSR = [
    ('backward_resblocks.', 'backward_trunk.'),
    ('forward_resblocks.', 'forward_trunk.'),
    ('upsample1.upsample_conv.', 'upconv1.'),
    ('upsample2.upsample_conv.', 'upconv2.'),
    *((f'.basic_module.{i}.conv.', f'.basic_module.{2 * i}.') for i in range(5)),
]


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    return BasicVSRNet(mid_channels=6, num_blocks=2)


@pytest.fixture
def basicsr(network):
    """The network's weights as BasicSR names them."""
    named = {}
    for key, value in network.state_dict().items():
        for ours, theirs in TO_BASICSR:
            key = key.replace(ours, theirs)
        named[key] = value
    return named


def test_every_weight_comes_back_under_its_own_name(network, basicsr):
    assert 'backward_trunk.main.2.1.conv2.weight' in basicsr
    assert 'spynet.basic_module.5.basic_module.8.bias' in basicsr
    assert is_basicsr_basicvsr(basicsr)
    assert not is_basicsr_basicvsr(network.state_dict())
    report = ConversionReport()
    converted = from_basicsr_basicvsr(basicsr, report)
    expected = network.state_dict()
    assert list(converted) == list(expected)
    assert all(torch.equal(converted[key], value) for key, value in expected.items())
    assert sorted(old for (old,) in report.converted.values()) == sorted(basicsr)


def test_every_key_that_does_not_fit_is_named(basicsr):
    del basicsr['upconv1.bias']
    basicsr['edvr.conv_first.weight'] = torch.zeros(1)
    basicsr['conv_last.bias'] = torch.zeros(12)
    basicsr['spynet.basic_module.0.basic_module.1.weight'] = torch.zeros(1)
    with pytest.raises(CheckpointError, match='cannot be converted') as error:
        from_basicsr_basicvsr(basicsr)
    text = str(error.value)
    assert 'Missing: upsample1.upsample_conv.bias' in text
    assert 'edvr.conv_first.weight' in text
    assert 'spynet.basic_module.0.basic_module.1.weight' in text
    assert 'conv_last.bias (12,), expected (3,)' in text
