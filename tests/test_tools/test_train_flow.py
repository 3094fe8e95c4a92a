# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The configs of teacher and students, as a user trains them, for two iterations."""

import mmcv
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT

from s2svr_mm.models import PWCLite
from s2svr_mm.models.flow import FinePWCLite

CONFIGS = [
    'flow_student_compress',
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in ('flow_student', 'flow_student_sr', 'flow_student_deblur')
    ),
]
# Which of its ways to make a sample flow_student draws: synthetic flow or real neighbours.
CHOICE = 'train_dataloader.dataset.pipeline.1'


@pytest.fixture
def data(tmp_path):
    """Clips to learn from and a pair with true flow, below ``tmp_path / 'data'``."""
    for seed, name in enumerate(('street', 'park')):
        clip = moving_clip(6, 96, 96, (1.5, 0.5), seed=seed)
        write_frames(tmp_path / 'data' / 'clips' / 'train' / 'gt' / name, clip)
    folder = write_frames(tmp_path / 'data' / 'middlebury' / 'Street', moving_clip(2, 64, 64))
    for index in range(2):
        (folder / f'{index:08d}.png').rename(folder / f'frame{10 + index}.png')
    mmcv.flowwrite(np.ones((64, 64, 2), np.float32), str(folder / 'flow10.flo'))
    return tmp_path / 'data'


def options(tmp_path, **more):
    common = {
        'train_cfg.max_iters': 2,
        'train_cfg.val_interval': 2,
        'train_dataloader.batch_size': 1,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'val_dataloader.num_workers': 0,
        'default_hooks.checkpoint.interval': 2,
        'default_hooks.logger.interval': 1,
    }
    return ['--cfg-options', *(f'{key}={value}' for key, value in (common | more).items())]


@pytest.mark.parametrize(
    ('name', 'estimator'),
    [
        ('flow_teacher', FinePWCLite),
        pytest.param('flow_pwclite', PWCLite, marks=pytest.mark.slow),
    ],
)
def test_teacher_goes_through_its_stages(name, estimator, run_tool, data, tmp_path):
    changes = {
        'model.train_cfg.warp_iters': 1,
        'model.train_cfg.occlusion_begin': 1,
        'model.known_warps.max_motion': 8,
        'model.known_warps.min_motion': 8,
    }
    config = CHECKOUT / 'configs' / f'{name}.py'
    result = run_tool('train', config, *options(tmp_path, **changes))
    assert result.status == 0, result.output
    for text in ('loss_warp', 'loss_photometric', 'loss_smooth', 'EPE_1px', 'EPE:'):
        assert text in result.output
    saved = torch.load(tmp_path / 'work_dirs' / name / 'iter_2.pth', weights_only=False)
    assert set(estimator().state_dict()) == {
        name.removeprefix('estimator.') for name in saved['state_dict']
    }


@pytest.mark.parametrize('name', CONFIGS)
def test_students_learn_from_the_teacher(name, run_tool, data, tmp_path):
    torch.manual_seed(0)
    teacher = FinePWCLite()
    teacher.init_weights()
    torch.nn.init.normal_(teacher.coarse.decoder.predict.weight, std=1e-3)
    state = {f'estimator.{key}': value for key, value in teacher.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'teacher.pth')
    places, changes = ['model.estimator', 'model.flow_head.teacher'], {}
    if name in ('flow_student', 'flow_student_sr'):
        changes[f'{CHOICE}.prob'] = '[0.0,1.0]'
        places.append(f'{CHOICE}.transforms.1.0.teacher.estimator')
    if name == 'flow_student':
        changes[f'{CHOICE}.transforms.1.3.prob'] = '[0.0,0.0,0.0,0.0,0.0,1.0]'
    if name == 'flow_student_sr':
        changes[f'{CHOICE}.transforms.1.3.crop_size'] = '(96,96)'
    changes |= {
        f'{place}.init_cfg.{key}': value
        for place in places
        for key, value in dict(checkpoint='teacher.pth', prefix='estimator').items()
    }
    config = CHECKOUT / 'configs' / f'{name}.py'
    result = run_tool('train', config, *options(tmp_path, **changes))
    assert result.status == 0, result.output
    for text in ('loss_flow_distill', 'loss_flow_photometric', 'loss_flow_smooth', 'EPE:'):
        assert text in result.output
    saved = torch.load(tmp_path / 'work_dirs' / name / 'iter_2.pth', weights_only=False)
    kept = saved['state_dict']
    for key, value in teacher.state_dict().items():
        assert torch.equal(kept[f'flow_head.teacher.{key}'], value), key


@pytest.mark.slow
def test_student_learns_from_known_motion(run_tool, data, tmp_path):
    """Samples as they are, with noise; the photometric one ignores their flow."""
    synthetic = f'{CHOICE}.transforms.0.2'
    changes = {
        f'{CHOICE}.prob': '[1.0,0.0]',
        f'{synthetic}.prob': '[0.5,0.0,0.0,0.0,0.0,0.0,0.0,0.5]',
        f'{synthetic}.transforms.0.0.crop_size': '(96,96)',
        f'{synthetic}.transforms.7.0.crop_size': '(96,96)',
    }
    for name, loss in (('flow_student', 'loss_warp'), ('flow_student_photometric', 'loss_phot')):
        config = CHECKOUT / 'configs' / f'{name}.py'
        result = run_tool('train', config, *options(tmp_path, **changes))
        assert result.status == 0, result.output
        assert f'{loss}' in result.output
        assert ('loss_warp' in result.output) == (loss == 'loss_warp')


def test_photometric_student_and_missing_teacher(run_tool, data, tmp_path):
    config = CHECKOUT / 'configs' / 'flow_student_compress_photometric.py'
    changes = {'model.estimator.init_cfg.checkpoint': 's2svr://nobody'}
    result = run_tool('train', config, *options(tmp_path, **changes))
    assert result.status == 1
    assert 'no weights s2svr://nobody are bundled with' in result.output
    changes = {'model.estimator.init_cfg': None}
    result = run_tool('train', config, *options(tmp_path, **changes))
    assert result.status == 0, result.output
    assert 'loss_photometric' in result.output
    assert 'loss_flow_distill' not in result.output
