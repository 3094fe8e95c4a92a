# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import itertools
import multiprocessing

import pytest
import torch
from mmengine.hooks import Hook

from s2svr_mm.engine.train_loop import ResumableSampler


class Recorder(Hook):
    """Keeps what each iteration was fed."""

    def __init__(self):
        self.batches = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.batches.append(torch.stack(data_batch['inputs']))


def train(runner):
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.train()
    return torch.stack(recorder.batches), runner.model.state_dict()


def assert_equal_states(state, expected):
    assert state.keys() == expected.keys()
    for key in expected:
        assert torch.equal(state[key], expected[key]), key


@pytest.mark.parametrize(('workers', 'persistent'), [(0, False), (2, True)])
def test_resumed_run_equals_an_uninterrupted_one(make_runner, workers, persistent):
    loader = dict(workers=workers, persistent=persistent)
    batches, state = train(make_runner('straight', **loader))
    first, _ = train(make_runner('resumed', max_iters=4, **loader))
    # What happened to the generators in between must not matter.
    torch.rand(17)
    second, resumed_state = train(make_runner('resumed', resume=True, **loader))
    assert len(batches) == 8
    assert torch.equal(torch.cat([first, second]), batches)
    assert_equal_states(resumed_state, state)


def test_number_of_workers_does_not_matter(make_runner):
    batches, state = train(make_runner('none'))
    batches_of_three, state_of_three = train(make_runner('three', workers=3))
    assert torch.equal(batches_of_three, batches)
    assert_equal_states(state_of_three, state)
    # None is left to be waited for.
    assert not multiprocessing.active_children()


def test_noise_differs_between_visits_and_seeds(make_runner):
    batches, _ = train(make_runner('a', max_iters=7))
    samples = batches.flatten(0, 1)
    assert sorted(samples[:7, 0].tolist()) == sorted(samples[7:, 0].tolist()) == list(range(7))
    assert len(samples[:, 1:].unique()) == samples[:, 1:].numel()
    others, _ = train(make_runner('b', max_iters=7, seed=6))
    assert not torch.equal(others, batches)


def test_without_a_seed_the_checkpoint_keeps_the_one_drawn(make_runner):
    first_runner = make_runner('resumed', max_iters=4, seed=None)
    first, _ = train(first_runner)
    second, state = train(make_runner('resumed', resume=True, seed=None))
    batches, expected = train(make_runner('straight', seed=first_runner.seed))
    assert torch.equal(torch.cat([first, second]), batches)
    assert_equal_states(state, expected)


def test_finished_run_is_left_alone(make_runner, tmp_path):
    _, expected = train(make_runner('run'))
    runner = make_runner('run', resume=True)
    state = runner.train().state_dict()
    assert_equal_states(state, expected)
    assert any(
        '8 of 8 iterations are done already' in log.read_text()
        for log in (tmp_path / 'run').rglob('*.log')
    )


def test_sampler_starts_anywhere_on_each_rank(monkeypatch):
    def draw(rank, world_size, start=0, count=12):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda: (rank, world_size))
        sampler = ResumableSampler(range(5), seed=3)
        sampler.start = start
        return list(itertools.islice(sampler, count))

    everything = draw(0, 1, count=36)
    assert [position for _, position, _ in everything] == list(range(36))
    assert sorted(index for index, _, _ in everything[:5]) == list(range(5))
    for rank in range(3):
        assert draw(rank, 3) == everything[rank::3]
        assert draw(rank, 3, start=4, count=8) == everything[rank::3][4:]


def test_empty_data_set_is_refused():
    with pytest.raises(ValueError, match='training data set is empty'):
        ResumableSampler([], seed=0)


def test_other_samplers_are_refused(make_runner):
    loader = dict(
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=True),
        dataset=dict(type='NoisyNumbers'),
    )
    runner = make_runner(train_dataloader=loader)
    with pytest.raises(ValueError, match=r"needs .*'InfiniteSampler', got 'DefaultSampler'"):
        runner.train()
