# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

from s2svr_mm.errors import ConfigError


class Rates(Hook):
    """Notes the rate of each iteration."""

    def __init__(self):
        self.found = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.found.append(runner.optim_wrapper.get_lr()['lr'][0])


def rates_of(runner):
    rates = Rates()
    runner.register_hook(rates)
    runner.train()
    return rates.found


def cosine(length, **more):
    warm_up = dict(type='LinearLR', start_factor=0.1, end=2, by_epoch=False)
    return [warm_up, dict(type='CosineAnnealingLR', T_max=length, by_epoch=False, **more)]


def adam(lr, **more):
    return dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=lr, **more))


def log_of(runner):
    return ''.join(path.read_text() for path in Path(runner.work_dir).rglob('*.log'))


CHANGES = {
    'longer': dict(param_scheduler=cosine(8)),
    'rate': dict(param_scheduler=cosine(4), optim_wrapper=adam(3e-3)),
    'floor': dict(param_scheduler=cosine(4, eta_min=1e-3)),
    'no schedule': dict(param_scheduler=None),
    'one scheduler': dict(param_scheduler=cosine(8)[1:]),
    'other kind': dict(
        param_scheduler=[dict(type='StepLR', step_size=3, gamma=0.5, by_epoch=False)] * 2
    ),
}


@pytest.mark.parametrize('change', CHANGES)
def test_another_schedule_is_followed(change, make_runner):
    """As by a run that followed it from its beginning."""
    make_runner('run', max_iters=4, param_scheduler=cosine(4)).train()
    runner = make_runner('run', resume=True, **CHANGES[change])
    found = rates_of(runner)
    expected = rates_of(make_runner('straight', **CHANGES[change]))
    assert found == pytest.approx(expected[4:], rel=1e-12)
    assert 'another schedule' in log_of(runner)


def test_constant_rates(make_runner):
    make_runner('run', max_iters=4, param_scheduler=None).train()
    runner = make_runner('run', resume=True, param_scheduler=None, optim_wrapper=adam(2e-3))
    assert rates_of(runner) == [2e-3] * 4
    assert 'lr 0.01 -> 0.002' in log_of(runner)


def test_the_same_schedule_is_taken_as_it_is(make_runner):
    make_runner('run', max_iters=4, param_scheduler=cosine(8, end=8)).train()
    runner = make_runner('run', resume=True, param_scheduler=cosine(8, end=8))
    found = rates_of(runner)
    straight = rates_of(make_runner('straight', param_scheduler=cosine(8, end=8)))
    assert found == straight[4:]
    log = log_of(runner)
    assert 'resumed with the schedule of the checkpoint and the config' in log
    assert 'another schedule' not in log


def test_groups_with_rates_of_their_own(make_runner):
    own = dict(paramwise_cfg=dict(custom_keys={'layers.0': dict(lr_mult=0.1)}))
    make_runner(
        'run', max_iters=4, param_scheduler=cosine(4), optim_wrapper=adam(1e-2) | own
    ).train()
    changed = dict(param_scheduler=cosine(8), optim_wrapper=adam(4e-3) | own)
    runner = make_runner('run', resume=True, **changed)
    rates_of(runner)
    straight = make_runner('straight', **changed)
    rates_of(straight)
    for a, b in zip(
        runner.optim_wrapper.param_groups, straight.optim_wrapper.param_groups, strict=True
    ):
        assert a['lr'] == pytest.approx(b['lr'], rel=1e-12)
    assert runner.optim_wrapper.optimizer.state, 'the moments are those of the checkpoint'

    with pytest.raises(ConfigError, match='groups of parameters'):
        make_runner('run', resume=True).train()


def test_other_settings_of_the_optimizer_are_named(make_runner):
    make_runner('run', max_iters=4).train()
    runner = make_runner('run', resume=True, optim_wrapper=adam(1e-2, weight_decay=0.1))
    runner.train()
    assert 'weight_decay stays 0, as in the checkpoint, not 0.1' in log_of(runner)


def test_a_schedule_that_depends_on_validation(make_runner):
    plateau = dict(type='ReduceOnPlateauLR', monitor='score')
    make_runner('run', max_iters=4).train()
    with pytest.raises(ConfigError, match='depends on validation'):
        make_runner('run', resume=True, param_scheduler=plateau).train()


def test_moments_are_kept(make_runner):
    runner = make_runner('run', max_iters=4, param_scheduler=cosine(4))
    runner.train()
    before = runner.optim_wrapper.optimizer.state_dict()['state']
    resumed = make_runner('run', max_iters=4, resume=True, param_scheduler=cosine(8))
    resumed.train()
    after = resumed.optim_wrapper.optimizer.state_dict()['state']
    for key, state in before.items():
        assert torch.equal(after[key]['exp_avg'], state['exp_avg'])
