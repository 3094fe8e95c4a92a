# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import socket
import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch
from mmagic.datasets.transforms import PairedRandomCrop
from mmagic.registry import MODELS, TRANSFORMS
from torch.utils.data import DataLoader, Dataset

from s2svr_mm.cli.reporting import exit_on_user_error, explain
from s2svr_mm.errors import CheckpointError, did_you_mean


class DataError(ValueError):
    pass


class Failing(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.error


def raised_by_worker(error):
    with pytest.raises(type(error)) as caught:
        list(DataLoader(Failing(error), num_workers=1))
    assert 'DataLoader worker' in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    'message', ['clip/3.png is cut short', 'two lines:\n  first: one\n  second: two']
)
@pytest.mark.parametrize('kind', [DataError, ValueError, FileNotFoundError])
def test_message_of_a_worker_is_the_message_alone(kind, message):
    assert explain(raised_by_worker(kind(message))) == message


@pytest.mark.parametrize(
    ('registry', 'name', 'meant'),
    [(MODELS, 'S2SVRNett', 'S2SVRNet'), (TRANSFORMS, 'LoadClips', 'LoadClip')],
)
def test_unknown_type(registry, name, meant):
    with pytest.raises(KeyError) as caught:
        registry.build(dict(type=name))
    text = explain(caught.value)
    assert f"the type '{name}'" in text
    assert f'no such {registry.name}. Did you mean {meant}' in text


@pytest.mark.parametrize('path', ['lq/a/1.png', ['lq/a/1.png', 'lq/a/2.png']])
def test_frames_smaller_than_the_patch(path):
    sample = dict(img=[np.zeros((24, 32, 3))], gt=[np.zeros((96, 128, 3))], scale=4)
    with pytest.raises(ValueError, match='patch') as caught:
        PairedRandomCrop(256).transform(dict(sample, img_path=path, gt_path=path))
    message = explain(caught.value)
    for text in ('lq/a/1.png: degraded frames of 32x24', '64x64', 'gt_patch_size=N'):
        assert text in message


def test_own_faults_are_not_explained():
    for error in (KeyError('weight'), TypeError('unsupported operand'), RuntimeError('shape')):
        assert explain(error) is None
        with pytest.raises(type(error)), exit_on_user_error():
            raise error


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


def test_close_to():
    assert did_you_mean('modle', ['model', 'train_cfg']) == ' Did you mean model?'
    assert did_you_mean('xyz', ['model']) == ''


@pytest.mark.parametrize(
    'error',
    [socket.gaierror(-2, 'Name or service not known'), URLError('timed out')],
)
def test_failed_download(error):
    assert 'a download failed' in explain(error)
    assert 'spynet_pretrained=FILE' in explain(error)


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='MMFlowEstimator', flow_cfg=dict(type='PWCNet')),
        dict(type='PhotometricLoss'),
        dict(type='EdgeAwareSmoothnessLoss'),
    ],
    ids=lambda cfg: cfg['type'],
)
def test_without_mmflow(cfg, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'mmflow', None)
    frames = torch.rand(2, 1, 3, 8, 8)

    def build_and_use():
        loss = MODELS.build(cfg)
        loss(frames[0, :, :2] if 'Smooth' in cfg['type'] else frames[0], frames[1])

    with pytest.raises(SystemExit), exit_on_user_error():
        build_and_use()
    printed = capsys.readouterr().err
    assert 'pip install mmflow==1.0.0rc0' in printed
    assert 'Traceback' not in printed
