# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
import torch
from mmagic.registry import EVALUATORS
from mmagic.structures import DataSample
from mmagic.utils import register_all_modules

from s2svr_mm.errors import DataError, NonFiniteError
from s2svr_mm.evaluation import flow_errors, mean_errors, sample_errors


def test_by_hand():
    true = np.zeros((2, 2, 3))
    true[0] = [[0, 3, 0], [0, 6, 100]]
    true[1, 0, 1] = 4
    estimated = true.copy()
    estimated[0, 0, 0] += 0.5  # motion 0
    estimated[0, 0, 1] += 3  # motion 5, error 5
    estimated[1, 0, 1] -= 4
    estimated[0, 1, 2] += 1000  # motion 100, not known
    valid = np.ones((2, 3), bool)
    valid[1, 2] = False
    visible = np.ones((2, 3), bool)
    visible[0, 1] = False
    measured = flow_errors(estimated, true, valid, bins=(0, 2, 5, 10), visible=visible)
    assert measured == pytest.approx(
        dict(
            EPE=5.5 / 5,
            EPE_1px=100 / 5,
            EPE_0_2=0.5 / 3,
            EPE_2_5=np.nan,
            EPE_5_10=2.5,
            EPE_10_inf=np.nan,
            EPE_visible=0.5 / 4,
            EPE_hidden=5.0,
        ),
        nan_ok=True,
    )


def test_alignment_is_that_of_the_clean_frames():
    """A ramp of 4 grey levels a pixel moves by 1.5 pixels; half a pixel less leaves 2 levels."""
    h, w = 6, 12
    ramp = 4.0 * np.arange(w) * np.ones((3, h, 1))
    clean = torch.from_numpy(np.concatenate((ramp, ramp - 6))).float()
    true = torch.zeros(2, h, w)
    true[0] = 1.5
    ones = torch.ones(1, h, w)
    sample = dict(gt_flow=true, gt_valid=ones, gt_visible=ones.clone(), gt_clean=clean)
    found = true - torch.tensor((0.5, 0.0))[:, None, None]
    # What is hidden, and what leaves the frame, does not count, whatever it holds.
    sample['gt_visible'][0, 2, 3] = 0
    clean[:3, 2, 3] = clean[:3, :, -1] = 1e4
    errors = sample_errors(found, sample)
    assert errors['alignment'] == pytest.approx(2.0)
    assert errors['alignment_true'] == pytest.approx(0.0, abs=1e-6)
    assert (errors['EPE'], errors['EPE_hidden']) == (0.5, 0.5)
    sample['gt_visible'][:] = 0
    assert np.isnan(sample_errors(found, sample)['alignment'])
    del sample['gt_clean']
    assert 'alignment' not in sample_errors(found, sample)


def test_pairs_count_alike_whatever_their_size():
    means = mean_errors([dict(EPE=1.0, EPE_0_2=np.nan), dict(EPE=3.0, EPE_0_2=5.0)])
    assert means == dict(EPE=2.0, EPE_0_2=5.0)
    assert np.isnan(mean_errors([dict(EPE=np.nan)])['EPE'])


def test_in_the_evaluator():
    register_all_modules()
    evaluator = EVALUATORS.build(
        dict(type='Evaluator', metrics=[dict(type='EndPointError', prefix='clean')])
    )
    metric = evaluator.metrics[0]
    metric.size = 2
    for error in (1.0, 2.0):
        sample = DataSample(gt_flow=torch.zeros(2, 4, 5), gt_valid=torch.ones(1, 4, 5))
        flow = torch.zeros(2, 4, 5)
        flow[1] = error
        sample.output = DataSample(pred_flow=flow)
        evaluator.process([sample], None, [metric])
    found = evaluator.evaluate()
    assert found['clean/EPE'] == 1.5
    assert found['clean/EPE_1px'] == 50


def test_bad_input_is_named():
    zeros, valid = np.zeros((2, 4, 5)), np.ones((4, 5), bool)
    with pytest.raises(ValueError, match=r'\(2, 4, 6\), the true one \(2, 4, 5\)'):
        flow_errors(np.zeros((2, 4, 6)), zeros, valid)
    with pytest.raises(DataError, match='unknown at every pixel'):
        flow_errors(zeros, zeros, ~valid)
    broken = zeros.copy()
    broken[0, 1, 2] = np.nan
    with pytest.raises(NonFiniteError, match='NaN or infinite at 1 pixels'):
        flow_errors(broken, zeros, valid)
    # Where nothing is known, nothing is asked.
    valid[1, 2] = False
    assert flow_errors(broken, zeros, valid)['EPE'] == 0
