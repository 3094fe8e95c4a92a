# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT
from mmengine import Config

from benchmarks.trainings import changes_of, measured, summary, trainings_of
from s2svr_mm.training.config import check_options

PLANS = sorted((CHECKOUT / 'benchmarks' / 'plans').glob('*.json'))


def test_every_row_is_trained_with_every_seed():
    plan = dict(
        config='a.py',
        options=['x=1'],
        seeds=[0, 1],
        rows=dict(one=dict(options=['y=2']), two=dict(config='b.py')),
    )
    trainings = trainings_of(plan, Path('w'), None, None)
    assert [(t.name, t.seed, t.config, t.options, str(t.folder)) for t in trainings] == [
        ('one', 0, 'a.py', ('x=1', 'y=2'), 'w/one_0'),
        ('two', 0, 'b.py', ('x=1',), 'w/two_0'),
        ('one', 1, 'a.py', ('x=1', 'y=2'), 'w/one_1'),
        ('two', 1, 'b.py', ('x=1',), 'w/two_1'),
    ]
    assert 'randomness.seed=1' in trainings[2].command
    assert '--amp' not in trainings[0].command
    (amp,) = trainings_of(plan, Path('w'), [0], ['one'], amp=True)
    assert '--amp' in amp.command
    assert amp.recipe != trainings[0].recipe
    assert [t.name for t in trainings_of(plan, Path('w'), [7], ['two'])] == ['two']
    with pytest.raises(SystemExit, match=r"no row \['three'\], but \['one', 'two'\]"):
        trainings_of(plan, Path('w'), None, ['three'])


def test_the_last_validation_of_the_last_run_counts(tmp_path):
    """A training that was interrupted leaves two logs."""
    for run, lines in {
        '20260101_000000': [dict(lr=1, time=0.5), dict(PSNR=20.0, step=1)],
        '20260102_000000': [dict(lr=1, time=0.3), dict(lr=1, time=0.1), dict(PSNR=21.0, step=2)],
    }.items():
        log = tmp_path / run / 'vis_data' / 'scalars.json'
        log.parent.mkdir(parents=True)
        log.write_text('\n'.join(map(json.dumps, lines)))
    assert measured(tmp_path) == {'seconds an iteration': 0.3, 'PSNR': 21.0}


def test_the_table_has_mean_and_spread():
    frame = pd.DataFrame(
        {
            'name': ['b', 'a', 'b'],
            'seed': [0, 0, 1],
            'parameters, M': 1.5,
            'multiply-adds, G': 20.0,
            'seconds an iteration': [1.0, 2.0, 3.0],
            'PSNR': [30.0, 31.0, 32.0],
        }
    )
    table = summary(frame, dict(PSNR=2)).splitlines()
    assert table[2:] == [
        f'| b | 1.50 | 20.0 | 2.00 | 31.00 ± {np.sqrt(2):.2f} |',
        '| a | 1.50 | 20.0 | 2.00 | 31.00 |',
    ]


@pytest.mark.parametrize('path', PLANS, ids=lambda path: path.stem)
def test_plans_name_configs_and_what_they_hold(path):
    """`s2svr train` lets each option through."""
    plan = json.loads(path.read_text())
    for training in trainings_of(plan, Path('w'), None, None):
        check_options(Config.fromfile(CHECKOUT / training.config), changes_of(training))


@pytest.mark.slow
def test_trainings_end_once(tmp_path):
    clips = tmp_path / 'data' / 'clips'
    for part, seed in (('train', 0), ('val', 1)):
        write_frames(clips / part / 'gt' / 'walk', moving_clip(15, 224, 224, seed=seed))
    config = tmp_path / 'short.py'
    config.write_text(
        f"_base_ = ['{CHECKOUT}/configs/s2svr_flow_ablation.py']\n"
        "model = dict(generator=dict(flow_estimator=dict(_delete_=True, type='ZeroFlow')))\n"
        'train_cfg = dict(max_iters=2, val_interval=2)\n'
        'train_dataloader = dict(num_workers=0, persistent_workers=False)\n'
        'val_dataloader = dict(num_workers=0, persistent_workers=False)\n'
    )
    plan = dict(
        config=str(config),
        options=['default_hooks.logger.interval=1', 'param_scheduler.0.end=1'],
        seeds=[0],
        metrics=dict(PSNR=2),
        rows=dict(narrow=dict(options=['model.generator.mid_channels=4']), plain=dict()),
    )
    (tmp_path / 'plan.json').write_text(json.dumps(plan))

    def run(plan_path, *more):
        command = [sys.executable, CHECKOUT / 'benchmarks' / 'trainings.py', plan_path, 'out']
        return subprocess.run(
            [*map(str, command), *more], cwd=tmp_path, capture_output=True, text=True
        )

    done = run('plan.json', '--jobs', '2')
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / 'out' / 'table.csv').set_index('name')
    assert list(table.index) == ['narrow', 'plain']
    assert table.loc['narrow', 'parameters, M'] < table.loc['plain', 'parameters, M']
    assert (table['PSNR'] > 15).all()
    again = run('plan.json')
    assert again.stdout == done.stdout
    assert 'seed 0' in done.stderr
    assert 'seed 0' not in again.stderr
    plan['rows']['plain'] = dict(options=['model.generator.mid_channels=8'])
    (tmp_path / 'plan.json').write_text(json.dumps(plan))
    refused = run('plan.json')
    assert refused.returncode == 1
    assert 'plain_0 was trained by' in refused.stderr
