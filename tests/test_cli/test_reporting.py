# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT
from torch.utils.data import DataLoader, Dataset

from s2svr_mm.checkpoints.files import save_weights
from s2svr_mm.cli import COMMANDS, main
from s2svr_mm.cli.reporting import exit_on_user_error, message_of
from s2svr_mm.errors import CheckpointError, DataError, S2SVRError, did_you_mean
from s2svr_mm.models import PWCLite


class Failing(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.error


@pytest.mark.parametrize(
    'message', ['clip/3.png is cut short', 'two lines:\n  first: one\n  second: two']
)
def test_message_of_a_worker_is_the_message_alone(message):
    with pytest.raises(DataError) as caught:
        list(DataLoader(Failing(DataError(message)), num_workers=1))
    assert 'DataLoader worker' in str(caught.value)
    assert message_of(caught.value) == message
    assert message_of(DataError(message)) == message


def test_one_clear_message(capsys):
    with pytest.raises(SystemExit) as end, exit_on_user_error():
        raise CheckpointError('file.pth is damaged')
    assert end.value.code == 1
    assert capsys.readouterr().err == '\nerror: file.pth is damaged\n(--debug shows where)\n'
    with pytest.raises(CheckpointError), exit_on_user_error(debug=True):
        raise CheckpointError('file.pth is damaged')
    with pytest.raises(SystemExit) as end, exit_on_user_error():
        raise KeyboardInterrupt
    assert end.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'


def test_output_that_nobody_reads_to_its_end():
    script = (
        'from s2svr_launcher import unregistered\n'
        'with unregistered():\n'
        '    from s2svr_mm.cli.reporting import exit_on_user_error\n'
        'with exit_on_user_error():\n'
        '    for i in range(100000): print(i)\n'
    )
    process = subprocess.Popen(
        [sys.executable, '-c', script],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b''
    assert process.wait() == 141


def broadcast(*args, **kwargs):
    return np.zeros(2) + np.zeros(3)


def zip_strictly(*args, **kwargs):
    return list(zip([1], [1, 2], strict=True))


def divide(*args, **kwargs):
    return 1 / 0


def open_nothing(*args, **kwargs):
    return open('/nowhere/at/all')


@pytest.fixture
def calls(tmp_path, tiny_config, monkeypatch):
    """For each command arguments that are right, and what it calls along the way."""
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / 'frames', moving_clip(3, 16, 16))
    save_weights(PWCLite().state_dict(), tmp_path / 'flow.pth')
    flow = str(CHECKOUT / 'configs' / 'flow_pwclite.py')
    details = str(CHECKOUT / 'configs' / 's2svr_s_deblur.py')
    compare = 'compare --model s2svr_s_x4 --video a frames --out out'
    return {
        'restore': ('restore frames out', 's2svr_mm.models.zoo.load_model'),
        'compare': (compare, 's2svr_mm.comparison.comparison.Comparison.run'),
        'models': ('models', 's2svr_mm.cli.models.bundled_models'),
        'train': (f'train {tiny_config}', 's2svr_mm.models.s2svr.S2SVR.forward'),
        'test': (f'test {tiny_config} {tmp_path}/tiny.pth', 'mmengine.runner.Runner.test'),
        'train-details': (
            f'train-details {details} --out branch.pth',
            's2svr_mm.training.detail_branch.collect_details',
        ),
        'prepare-data': (
            'prepare-data clips --src frames --dst data',
            's2svr_mm.datasets.preparation.prepare_clips',
        ),
        'convert-weights': (
            'convert-weights flow.pth out.pth',
            's2svr_mm.models.conversion.from_official',
        ),
        'evaluate-flow': (
            f'evaluate-flow frames --model a {flow} flow.pth',
            's2svr_mm.comparison.flow.evaluate_flow',
        ),
        'doctor': ('doctor', 's2svr_mm.cli.doctor.report'),
        'web': ('web --port 0', 's2svr_mm.web.serving.serve'),
        'export': ('export s2svr_s_x4 out', 's2svr_mm.models.zoo.load_model'),
    }


@pytest.mark.parametrize('command', COMMANDS)
def test_bugs_keep_their_traceback(command, calls, monkeypatch):
    arguments, along_the_way = calls[command]
    bugs = broadcast, zip_strictly, divide, open_nothing
    # Training starts anew for each: two are enough.
    for bug in bugs[:2] if command == 'train' else bugs:
        monkeypatch.setattr(along_the_way, bug)
        with pytest.raises((ValueError, ZeroDivisionError, OSError)) as caught:
            main(arguments.split())
        assert not isinstance(caught.value, S2SVRError)
        assert caught.traceback[-1].name == bug.__name__


def test_did_you_mean():
    assert did_you_mean('modle', ['model', 'train_cfg']) == ' Did you mean model?'
    assert did_you_mean('xyz', ['model']) == ''


@pytest.mark.parametrize('kind', ['MMFlowEstimator', 'PhotometricLoss', 'EdgeAwareSmoothnessLoss'])
def test_without_mmflow(kind, monkeypatch, capsys):
    from mmagic.registry import MODELS

    monkeypatch.setitem(sys.modules, 'mmflow', None)
    frames = torch.rand(2, 1, 3, 8, 8)
    cfg = dict(flow_cfg=dict(type='PWCNet')) if kind == 'MMFlowEstimator' else {}

    def build_and_use():
        loss = MODELS.build(dict(type=kind, **cfg))
        loss(frames[0, :, :2] if 'Smooth' in kind else frames[0], frames[1])

    with pytest.raises(SystemExit), exit_on_user_error():
        build_and_use()
    printed = capsys.readouterr().err
    assert 'pip install mmflow==1.0.0rc0' in printed
    assert 'Traceback' not in printed
