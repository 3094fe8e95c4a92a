# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
import torch
from mmagic.registry import EVALUATORS
from mmagic.structures import DataSample
from mmagic.utils import register_all_modules

from s2svr_mm.evaluation import flow_errors, mean_errors


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
    measured = flow_errors(estimated, true, valid, bins=(0, 2, 5, 10))
    assert measured == pytest.approx(
        dict(
            EPE=5.5 / 5,
            EPE_1px=100 / 5,
            EPE_0_2=0.5 / 3,
            EPE_2_5=np.nan,
            EPE_5_10=2.5,
            EPE_10_inf=np.nan,
        ),
        nan_ok=True,
    )


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
    with pytest.raises(ValueError, match='unknown at every pixel'):
        flow_errors(zeros, zeros, ~valid)
