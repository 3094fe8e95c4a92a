# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json

import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT
from mmagic.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from s2svr_mm.datasets.preparation.degradations import make_degraded

CONFIGS = CHECKOUT / 'configs' / 'baselines'
SMALL = {
    'model.generator.mid_channels': 4,
    'model.generator.num_blocks': 2,
    'model.generator.spynet_pretrained': None,
    'test_dataloader.dataset.data_root': 'Vid4',
    'test_dataloader.num_workers': 0,
}


@pytest.fixture
def checkpoint(tmp_path):
    """A small BasicVSR."""
    cfg = Config.fromfile(CONFIGS / 'basicvsr_vimeo90k_bi.py')
    cfg.merge_from_dict(SMALL)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    path = tmp_path / 'basicvsr.pth'
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
    return path


@pytest.fixture
def vid4(tmp_path):
    """Two short clips, laid out as Vid4."""
    root = tmp_path / 'Vid4'
    for seed, clip in enumerate(('calendar', 'city')):
        truth = write_frames(root / 'GT' / clip, moving_clip(2, 72, 88, seed=seed))
        for kind in ('bi', 'bd'):
            make_degraded(truth, root / f'{kind.upper()}x4' / clip, kind, root)
    (root / 'meta_info_Vid4_GT.txt').write_text('calendar 2\ncity 2\n')
    return root


@pytest.mark.parametrize('kind', ['bi', 'bd'])
def test_agrees_with_the_runner_alone(checkpoint, vid4, run_tool, tmp_path, kind):
    options = [f'{key}={value}' for key, value in SMALL.items()]
    config = CONFIGS / f'basicvsr_vimeo90k_{kind}.py'
    tested = run_tool('test', config, checkpoint, '--out', 'out.json', '--cfg-options', *options)
    assert tested.status == 0, tested.output
    arguments = ['dev/check_vid4', kind, checkpoint, 'out.json', '--gt', vid4 / 'GT']
    result = run_tool(*arguments)
    # Random weights restore nothing as published.
    assert 'Both ways agree: True. As published: False.' in result.output
    assert result.status == 1

    other_kind = {'bi': 'bd', 'bd': 'bi'}[kind]
    assert 'Both ways agree: False' in run_tool('dev/check_vid4', other_kind, *arguments[2:]).output

    metrics = json.loads((tmp_path / 'out.json').read_text())
    metrics['clips']['city']['SSIM'] += 0.0003
    (tmp_path / 'out.json').write_text(json.dumps(metrics))
    assert 'Both ways agree: False' in run_tool(*arguments).output


def test_other_files_are_refused(checkpoint, vid4, run_tool, tmp_path):
    (tmp_path / 'out.json').write_text('{"Vid4/PSNR": 27.0}')
    arguments = ['bi', checkpoint, 'out.json', '--gt', vid4 / 'GT']
    assert 'has no figures of clips' in run_tool('dev/check_vid4', *arguments).output
    figures = dict(frames=3, PSNR=27.0, SSIM=0.8)
    (tmp_path / 'out.json').write_text(json.dumps(dict(clips=dict(city=figures))))
    assert 'has 2 frames' in run_tool('dev/check_vid4', *arguments).output
    torch.save(dict(state_dict={'a': torch.zeros(1)}), checkpoint)
    assert 'does not fit BasicVSRNet' in run_tool('dev/check_vid4', *arguments).output
