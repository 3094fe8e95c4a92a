# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import re

import pytest
import torch

from s2svr_mm.checkpoints.files import latest_checkpoint, open_checkpoint
from s2svr_mm.errors import NonFiniteError


def finite(path):
    return all(torch.isfinite(v).all() for v in open_checkpoint(path)['state_dict'].values())


def test_nan_loss_stops_and_says_where(make_runner):
    runner = make_runner(model=dict(type='NoisyModel', fault='loss'), checkpoint=dict(interval=1))
    with pytest.raises(NonFiniteError) as error:
        runner.train()
    message = str(error.value)
    # the order of this seed reaches sample 3 after a few iterations
    assert runner.iter > 0
    assert f'training stopped at iteration {runner.iter + 1}: ' in message
    assert 'loss_pixel = nan' in message
    assert re.search(r'learning rate: (0\.01|9\.\d+e-03|0\.00\d+)', message)
    assert 'clip/3.png' in message
    last = latest_checkpoint(runner.work_dir)
    assert last.name == f'iter_{runner.iter}.pth'
    assert f'{last}, is as it was: continue from it with --resume' in message
    assert finite(last)


def test_before_the_first_checkpoint(make_runner):
    runner = make_runner(model=dict(type='NoisyModel', fault='loss'), checkpoint=dict(interval=99))
    with pytest.raises(NonFiniteError, match='no checkpoint has been written yet'):
        runner.train()


def test_nan_weights_are_not_saved(make_runner, tmp_path):
    # the loss of that iteration is still finite, its gradient is not
    model = dict(type='NoisyModel', fault='gradient')
    runner = make_runner(model=model, checkpoint=dict(interval=1))
    with pytest.raises(NonFiniteError, match=r'no checkpoint was written') as error:
        runner.train()
    last = latest_checkpoint(runner.work_dir)
    assert 'layers.' in str(error.value)
    assert str(last) in str(error.value)
    assert last.name == f'iter_{runner.iter}.pth'
    assert all(finite(path) for path in (tmp_path / 'run').glob('*.pth'))
