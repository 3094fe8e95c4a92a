# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import sys

import pytest
import torch
from helpers.clips import moving_clip
from mmagic.models.editors.basicvsr.basicvsr_net import SPyNet as SPyNetOfMMagic
from mmagic.registry import MODELS
from mmagic.utils import register_all_modules

from benchmarks.reference_s2svr import reference_cost_volume
from s2svr_mm.compat import import_mmflow
from s2svr_mm.errors import CheckpointError, ConfigError, DataError, MissingOpError
from s2svr_mm.models.flow import DISFlow, MMFlowEstimator, ZeroFlow, adaptors

PWCNET = 'pwcnet/pwcnet_8xb1_slong_flyingchairs-384x448.py'
RAFT = 'raft/raft_8xb2_100k_flyingchairs-368x496.py'


@pytest.fixture(autouse=True)
def _registered():
    register_all_modules()
    torch.manual_seed(0)


@pytest.fixture
def moving_pair():
    def make(shift=(2.0, -1.0), size=64):
        clip = moving_clip(2, size, size, shift, degrees=0.0)
        return (torch.from_numpy(clip).permute(0, 3, 1, 2).float() / 255).split(1)

    return make


def test_spynet_is_that_of_mmagic(tmp_path):
    theirs = SPyNetOfMMagic(pretrained=None).eval()
    ref, supp = torch.rand(2, 1, 3, 33, 40)
    for with_constants in (True, False):
        state = theirs.state_dict()
        if not with_constants:
            state = {k: v for k, v in state.items() if k not in ('mean', 'std')}
        inside = {f'generator.spynet.{k}': v for k, v in state.items()}
        torch.save(dict(state_dict=inside), tmp_path / 'basicvsr.pth')
        init_cfg = dict(
            type='Pretrained',
            checkpoint=str(tmp_path / 'basicvsr.pth'),
            prefix='generator.spynet',
        )
        ours = MODELS.build(dict(type='SPyNet', init_cfg=init_cfg)).eval()
        ours.init_weights()
        with torch.no_grad():
            torch.testing.assert_close(ours(ref, supp), theirs(ref, supp))


@pytest.mark.parametrize('config', [PWCNET, RAFT])
def test_network_of_mmflow_from_its_own_config(config, moving_pair):
    estimator = MODELS.build(dict(type='MMFlowEstimator', flow_cfg=config)).eval()
    if config == RAFT:
        estimator.network.decoder.iters = 2
    ref, supp = moving_pair(size=50)
    with torch.no_grad():
        flow = estimator(ref, supp)
        both = estimator(torch.cat((ref, supp)), torch.cat((supp, ref)))
    assert flow.shape == (1, 2, 50, 50)
    assert flow.isfinite().all()
    torch.testing.assert_close(both[:1], flow, atol=1e-3, rtol=1e-3)


def test_network_of_mmflow_sees_what_mmflow_shows_it(monkeypatch):
    """BGR in [0, 255], normalised by the config: mean 127.5 for RAFT."""
    estimator = MMFlowEstimator(RAFT).eval()
    seen = {}

    def predict(inputs, samples):
        seen['inputs'] = inputs
        return [torch.zeros(2, *inputs.shape[-2:])] * len(samples)

    monkeypatch.setattr(estimator.network, 'predict', predict)
    ref, supp = torch.rand(2, 1, 3, 40, 130)
    assert estimator(ref, supp).shape == (1, 2, 40, 130)
    assert seen['inputs'].shape == (1, 6, 128, 192)
    expected = torch.cat((ref.flip(1), supp.flip(1)), 1) * 2 - 1
    torch.testing.assert_close(seen['inputs'][..., :40, :130], expected)


def test_weights_of_mmflow_fit_or_are_refused(tmp_path):
    estimator = MMFlowEstimator(PWCNET)
    torch.save(dict(state_dict=estimator.network.state_dict()), tmp_path / 'pwcnet.pth')
    again = MMFlowEstimator(PWCNET, checkpoint=str(tmp_path / 'pwcnet.pth'))
    torch.testing.assert_close(again.state_dict(), estimator.state_dict())
    torch.save(dict(state_dict={'a': torch.zeros(1)}), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=r'other\.pth does not fit PWCNet'):
        MMFlowEstimator(PWCNET, checkpoint=str(tmp_path / 'other.pth'))


def test_wrong_config_lists_what_there_is():
    with pytest.raises(ConfigError, match=r'pwcnet_8xb1_slong_flyingchairs-384x448\.py'):
        MMFlowEstimator('pwcnet/pwcnet.py')
    with pytest.raises(ConfigError, match='raft/'):
        MMFlowEstimator('nowhere/pwcnet.py')


def test_without_mmflow_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmflow', None)
    with pytest.raises(ImportError, match=r'pip install mmflow==1\.0\.0rc0'):
        MMFlowEstimator(PWCNET)


@pytest.mark.parametrize(('stride', 'dilation_patch'), [(1, 1), (2, 1), (1, 2)])
def test_correlation_of_mmcv_on_a_cpu(stride, dilation_patch):
    import_mmflow()
    operator = adaptors._correlation()(
        max_displacement=2, stride=stride, dilation_patch=dilation_patch
    )
    ref, supp = torch.randn(2, 1, 3, 9, 10)
    found = operator(ref, supp)
    reach = 2 * dilation_patch
    full = reference_cost_volume(ref, supp, reach).unflatten(1, (2 * reach + 1, 2 * reach + 1)) * 3
    patch, place = slice(None, None, dilation_patch), slice(None, None, stride)
    torch.testing.assert_close(found, full[:, patch, patch, place, place])


def test_dis_finds_a_translation_and_zero_flow_does_not(moving_pair):
    ref, supp = moving_pair()
    shift = torch.tensor((2.0, -1.0)).view(1, 2, 1, 1)
    inner = (..., slice(8, -8), slice(8, -8))
    error = (DISFlow()(ref, supp) - shift).norm(dim=1)[inner].mean()
    assert error < 0.2
    assert ZeroFlow()(ref, supp).eq(0).all()
    assert DISFlow()(ref[..., :3, :5], supp[..., :3, :5]).shape == (1, 2, 3, 5)


@pytest.mark.parametrize('kind', ['ZeroFlow', 'DISFlow', 'SPyNet', 'PWCLite', 'FinePWCLite'])
def test_what_is_no_pair_is_named(kind):
    estimator = MODELS.build(dict(type=kind))
    broken = torch.rand(1, 3, 32, 32)
    broken[0, 1, 2, 3:5] = torch.tensor((torch.nan, torch.inf))
    with pytest.raises(DataError, match='supporting frames hold 2 values that are NaN or infinite'):
        estimator(torch.rand(1, 3, 32, 32), broken)
    with pytest.raises(ValueError, match=r'\(1, 3, 32, 32\) and \(1, 3, 32, 40\)'):
        estimator(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 40))


def test_correlation_with_a_kernel_needs_a_compiled_mmcv():
    operator = adaptors._correlation()(kernel_size=3)
    with pytest.raises(MissingOpError, match='unless kernel_size=1'):
        operator(*torch.rand(2, 1, 3, 8, 8))
