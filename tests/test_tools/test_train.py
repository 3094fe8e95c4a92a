# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
import signal
import socket
import subprocess
import sys

import pytest
import torch
from helpers.tool_process import CHECKOUT

from s2svr_mm.checkpoints.files import open_checkpoint

KILL_WHILE_SAVING = """
import os, signal
from mmagic.registry import HOOKS
from mmengine.hooks import Hook


@HOOKS.register_module()
class KillWhileSaving(Hook):
    def before_save_checkpoint(self, runner, checkpoint):
        if runner.iter + 1 == 4:
            os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
"""

WITHOUT_VALIDATION = ('val_cfg=None', 'val_dataloader=None', 'val_evaluator=None')


def assert_same(a, b, where=''):
    """Compare nested states exactly."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f'{where}.{key}')
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f'{where}[{index}]')
    else:
        assert a == b, where


@pytest.mark.parametrize('workers', [pytest.param(0, marks=pytest.mark.slow), 2])
def test_resume_after_kill_reaches_the_same_weights(
    tiny_config, tmp_path, run_tool, monkeypatch, workers
):
    (tmp_path / 'kill_while_saving.py').write_text(KILL_WHILE_SAVING)
    monkeypatch.syspath_prepend(tmp_path)
    killed_config = tmp_path / 'killed.py'
    killed_config.write_text(
        f"_base_ = '{tiny_config.name}'\n"
        "custom_imports = dict(imports=['s2svr_mm', 'helpers.tiny_flow', 'kill_while_saving'])\n"
        "custom_hooks = [dict(type='KillWhileSaving')]\n"
    )
    options = ['--cfg-options', f'train_dataloader.num_workers={workers}', *WITHOUT_VALIDATION]

    straight = run_tool('train', tiny_config, '--work-dir', 'straight', *options)
    assert straight.status == 0, straight.output

    killed = run_tool('train', killed_config, '--work-dir', 'resumed', *options)
    assert killed.status == -signal.SIGKILL, killed.output
    names = sorted(path.name for path in (tmp_path / 'resumed').iterdir() if path.is_file())
    assert names[:2] == ['iter_2.pth', names[1]]
    assert names[1].startswith('iter_4.pth.')
    assert names[1].endswith('.part')

    resumed = run_tool('train', tiny_config, '--work-dir', 'resumed', '--resume', *options)
    assert resumed.status == 0, resumed.output
    assert 'iter: 2' in resumed.output
    expected = open_checkpoint(tmp_path / 'straight' / 'iter_6.pth')
    state = open_checkpoint(tmp_path / 'resumed' / 'iter_6.pth')
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_same(state[part], expected[part], part)
    assert not list((tmp_path / 'resumed').glob('*.part'))


def test_resume_skips_a_damaged_checkpoint(tiny_config, tmp_path, run_tool):
    options = ['--work-dir', 'run', '--cfg-options', *WITHOUT_VALIDATION]
    first = run_tool('train', tiny_config, *options, 'train_cfg.max_iters=4')
    assert first.status == 0, first.output
    os.truncate(tmp_path / 'run' / 'iter_4.pth', 10_000)
    second = run_tool('train', tiny_config, '--resume', *options, 'train_cfg.max_iters=5')
    assert second.status == 0, second.output
    assert 'iter_4.pth is damaged or cut short: run/iter_2.pth is taken instead' in second.output
    assert 'Iter(train) [3/5]' in second.output


def test_resume_without_a_checkpoint_starts(tiny_config, run_tool):
    options = ['train_cfg.max_iters=1', *WITHOUT_VALIDATION]
    result = run_tool('train', tiny_config, '--resume', '--cfg-options', *options)
    assert result.status == 0, result.output
    assert 'No checkpoint in work_dirs/tiny yet' in result.output
    assert 'Iter(train) [1/1]' in result.output


def test_amp_runs_in_bfloat16(tiny_config, tmp_path, run_tool):
    options = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2']
    result = run_tool('train', tiny_config, '--amp', '--work-dir', 'run', '--cfg-options', *options)
    assert result.status == 0, result.output
    assert "type='BF16OptimWrapper'" in result.output
    assert 'PSNR' in result.output
    assert (tmp_path / 'run' / 'best_PSNR_iter_2.pth').is_file()
    state = open_checkpoint(tmp_path / 'run' / 'iter_2.pth')['state_dict']
    assert {value.dtype for value in state.values()} == {torch.float32}


def test_auto_scale_lr(tiny_config, run_tool):
    refused = run_tool('train', tiny_config, '--auto-scale-lr')
    assert refused.status == 1
    assert 'auto_scale_lr=dict(base_batch_size=...)' in refused.output
    options = ['auto_scale_lr.base_batch_size=4', 'train_cfg.max_iters=1', *WITHOUT_VALIDATION]
    result = run_tool('train', tiny_config, '--auto-scale-lr', '--cfg-options', *options)
    assert result.status == 0, result.output
    assert 'lr: 2.5000e-04' in result.output


def test_nan_stops_training_and_the_last_checkpoint_stays(tiny_config, tmp_path, run_tool):
    # Steps of this size overflow float32 within a few iterations.
    options = ['optim_wrapper.optimizer.lr=1e18', *WITHOUT_VALIDATION]
    options += ['default_hooks.checkpoint.interval=1', 'param_scheduler=None']
    result = run_tool('train', tiny_config, '--work-dir', 'run', '--cfg-options', *options)
    assert result.status == 1, result.output
    assert 'Traceback' not in result.output
    message = result.output.split('error: training stopped at iteration ')[1]
    assert 'learning rate: 1e+18' in message
    assert 'loss_pixel = nan' in message or 'loss_pixel = inf' in message
    assert str(tmp_path / 'clips' / 'lq') in message
    last = (tmp_path / 'run' / 'last_checkpoint').read_text()
    assert f'the last checkpoint, {last}, is as it was' in message
    state = open_checkpoint(last)['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            ['model.generator.type=S2SVRNett'],
            "tiny.py: model.generator.type: there is no 'S2SVRNett'. Did you mean S2SVRNet",
        ),
        (
            ['train_dataloader.dataset.type=VideoClipsDataset'],
            "train_dataloader.dataset.type: there is no 'VideoClipsDataset'. "
            'Did you mean VideoClipDataset',
        ),
        (
            ['model.generator.mid_chanels=8'],
            "model.generator has no 'mid_chanels'. Did you mean mid_channels?",
        ),
        (
            ['optim_wrapper.paramwise_cfg.custom_keys.flow_estimatr.lr_mult=0.3'],
            'optim_wrapper.paramwise_cfg.custom_keys.flow_estimatr: no parameter of the model has '
            'that in its name. Did you mean flow_estimator?',
        ),
        (
            ['trian_cfg.max_iters=3'],
            "--cfg-options trian_cfg.max_iters: the config has no 'trian_cfg'. "
            'Did you mean train_cfg',
        ),
        (
            ['train_dataloader.dataset.data_root=nowhere', 'train_dataloader.dataset.prepare=reds'],
            'nowhere/lq does not exist. Prepare the data with\n'
            '  s2svr prepare-data reds --src DOWNLOADED --dst nowhere',
        ),
        (
            ['train_dataloader.num_workers=1', 'train_dataloader.dataset.scale=2'],
            'is 80x72, which is not exact',
        ),
    ],
)
def test_wrong_input_gets_one_message(tiny_config, run_tool, options, message):
    result = run_tool('train', tiny_config, '--cfg-options', *options)
    assert result.status == 1
    assert 'Traceback' not in result.output
    assert result.output.count('error: ') == 1
    assert message in result.output.split('error: ')[1]


@pytest.mark.parametrize(
    ('written', 'message'),
    [
        (
            "model['generator']['mid_chanels'] = 8",
            "'S2SVRNet' has no argument 'mid_chanels'. Did you mean mid_channels?",
        ),
        (
            'default_hooks = dict(chekpoint=dict(interval=5))',
            "default_hooks.chekpoint has no 'type', so nothing can be built",
        ),
        ('randomness = dict(sede=1)', "randomness has no argument 'sede'. Did you mean seed?"),
    ],
)
def test_wrong_key_in_a_config_gets_one_message(tiny_config, run_tool, written, message):
    with open(tiny_config, 'a') as file:
        file.write(f'{written}\n')
    result = run_tool('train', tiny_config)
    assert result.status == 1
    assert 'Traceback' not in result.output
    assert message in result.output.split('error: ')[1]


def test_debug_shows_the_traceback(tiny_config, run_tool):
    options = ['model.generator.type=S2SVRNett']
    result = run_tool('train', tiny_config, '--debug', '--cfg-options', *options)
    assert result.status == 1
    assert 'Traceback (most recent call last)' in result.output


def test_wrong_config_path(tiny_config, run_tool):
    result = run_tool('train', 'tinny.py')
    assert result.status == 1
    assert 'error: there is no config tinny.py. Did you mean tiny.py?' in result.output


def test_two_processes_on_cpus(tiny_config, tmp_path, start_tool):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    options = ['train_cfg.max_iters=4', 'train_cfg.val_interval=4']
    processes = [
        start_tool(
            'train',
            *(tiny_config, '--work-dir', 'run', '--launcher', 'pytorch', '--cfg-options', *options),
            env=dict(
                RANK=str(rank),
                LOCAL_RANK=str(rank),
                WORLD_SIZE='2',
                MASTER_ADDR='127.0.0.1',
                MASTER_PORT=str(port),
            ),
        )
        for rank in range(2)
    ]
    results = [process.wait() for process in processes]
    assert [result.status for result in results] == [0, 0], results[0].output + results[1].output
    assert 'Iter(train) [4/4]' in results[0].output
    assert 'PSNR' in results[0].output
    assert open_checkpoint(tmp_path / 'run' / 'iter_4.pth')['meta']['iter'] == 4


def test_the_command_runs_from_anywhere(tmp_path):
    script = CHECKOUT / 'tools' / 'train.py'
    result = subprocess.run(
        [sys.executable, script, 'missing.py'],
        cwd=tmp_path,
        env={key: value for key, value in os.environ.items() if key != 'PYTHONPATH'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.strip().endswith(
        'error: there is no config missing.py.\n(--debug shows where)'
    )


@pytest.mark.slow
def test_dist_train_script(tiny_config, tmp_path):
    command = ['bash', str(CHECKOUT / 'tools' / 'dist_train.sh'), str(tiny_config), '2']
    command += ['--work-dir', 'run', '--cfg-options', 'train_cfg.max_iters=2', *WITHOUT_VALIDATION]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(CHECKOUT / 'tests')},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / 'run' / 'iter_2.pth').is_file()
