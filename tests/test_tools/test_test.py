# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

import s2svr_mm  # noqa: F401

BASICVSR = """
_base_ = 'tiny.py'
model = dict(
    _delete_=True,
    type='BasicVSR',
    generator=dict(type='BasicVSRNet', mid_channels=4, num_blocks=1, spynet_pretrained=None),
    pixel_loss=dict(type='CharbonnierLoss', loss_weight=1.0, reduction='mean'),
    data_preprocessor=dict(type='DataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3),
)
"""


class Code:
    """A pickle that makes a file when it is loaded the unsafe way."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


@pytest.fixture
def checkpoint(tiny_config, tmp_path):
    """Weights that fit the tiny config."""
    init_default_scope('mmagic')
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(tiny_config).model)
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def psnr(image, reference):
    error = (image.astype(np.float64) - reference.astype(np.float64)) ** 2
    return 10 * np.log10(255**2 / error.mean())


def test_metrics_and_frames(tiny_config, tmp_path, checkpoint, run_tool):
    args = ['--out', 'new/metrics.json', '--save', 'frames', '--launcher', 'none']
    result = run_tool('test', tiny_config, checkpoint, *args)
    assert result.status == 0, result.output
    metrics = json.loads((tmp_path / 'new' / 'metrics.json').read_text())
    assert metrics.keys() == {'PSNR', 'SSIM'}
    assert 0 < metrics['SSIM'] < 1

    values = []
    for clip in ('street', 'park'):
        truth = sorted((tmp_path / 'clips' / 'gt' / clip).glob('*.png'))
        frames = sorted((tmp_path / 'frames' / clip).iterdir())
        assert [path.name for path in frames] == [path.name for path in truth]
        values += [
            psnr(cv2.imread(str(frame)), cv2.imread(str(path)))
            for frame, path in zip(frames, truth, strict=True)
        ]
    # frames are rounded, metrics are not
    assert metrics['PSNR'] == pytest.approx(np.mean(values), abs=0.02)
    assert not list(tmp_path.rglob('*.part'))


def test_what_mmagic_saves_can_be_tested(tiny_config, tmp_path, run_tool):
    config = tmp_path / 'basicvsr.py'
    config.write_text(BASICVSR)
    mmagic_way = [
        'train_cfg.type=IterBasedTrainLoop',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'default_hooks.checkpoint.type=CheckpointHook',
        'default_hooks.checkpoint.by_epoch=False',
    ]
    trained = run_tool('train', config, '--work-dir', 'run', '--cfg-options', *mmagic_way)
    assert trained.status == 0, trained.output
    for name in ('iter_2.pth', 'best_PSNR_iter_2.pth'):
        result = run_tool('test', config, f'run/{name}', '--out', 'metrics.json')
        assert result.status == 0, result.output
        value = json.loads((tmp_path / 'metrics.json').read_text())['PSNR']
        assert f'The best checkpoint with {value:.4f} PSNR' in trained.output


def test_checkpoint_of_another_architecture(tiny_config, tmp_path, checkpoint, run_tool):
    config = tmp_path / 'basicvsr.py'
    config.write_text(BASICVSR)
    result = run_tool('test', config, checkpoint)
    assert_refused(result, f'{checkpoint} does not fit BasicVSR')
    assert ' missing: generator.' in result.output
    assert ' unexpected: generator.' in result.output

    options = ['--cfg-options', 'model.generator.mid_channels=6']
    result = run_tool('test', tiny_config, checkpoint, *options)
    assert_refused(result, 'of another shape: generator.')


def test_pickle_with_code_is_refused(tiny_config, tmp_path, checkpoint, run_tool):
    proof = tmp_path / 'code_was_run'
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, 'extra': Code(proof)}, tmp_path / 'code.pth')
    result = run_tool('test', tiny_config, 'code.pth')
    assert_refused(result, 'code.pth was refused')
    assert 'mkdir' in result.output
    assert not proof.exists()


@pytest.mark.parametrize('kind', ['missing', 'cut short', 'no checkpoint'])
def test_unreadable_checkpoint(tiny_config, tmp_path, checkpoint, run_tool, kind):
    if kind == 'cut short':
        os.truncate(checkpoint, checkpoint.stat().st_size // 2)
    elif kind == 'no checkpoint':
        checkpoint.write_text('weights')
    else:
        checkpoint.unlink()
    assert_refused(run_tool('test', tiny_config, checkpoint), str(checkpoint))


def test_truncated_frame_is_named(tiny_config, tmp_path, checkpoint, run_tool):
    frame = tmp_path / 'clips' / 'lq' / 'park' / '00000002.png'
    os.truncate(frame, frame.stat().st_size // 2)
    options = ['--cfg-options', 'test_dataloader.num_workers=1']
    result = run_tool('test', tiny_config, checkpoint, '--out', 'metrics.json', *options)
    assert_refused(result, str(frame))
    assert not (tmp_path / 'metrics.json').exists()


def test_wrong_options(tiny_config, checkpoint, run_tool):
    result = run_tool('test', tiny_config, checkpoint, '--out', 'metrics.pkl')
    assert_refused(result, '--out writes JSON')
    options = ['test_dataloader=None', 'test_cfg=None', 'test_evaluator=None']
    result = run_tool('test', tiny_config, checkpoint, '--cfg-options', *options)
    assert_refused(result, 'has no test_dataloader')


def assert_refused(result, message):
    """One clear message, no traceback, status 1."""
    assert result.status == 1, result.output
    assert 'Traceback' not in result.output
    assert result.output.count('error: ') == 1
    assert message in result.output.split('error: ')[1]
