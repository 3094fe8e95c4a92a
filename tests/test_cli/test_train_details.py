# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json

import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT

from s2svr_mm.checkpoints.files import read_weights
from s2svr_mm.models.zoo import load_model

OPTIONS = (
    '--cfg-options',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
)


@pytest.mark.slow
def test_a_trained_branch_goes_into_training(run_tool, tmp_path):
    for seed, name in enumerate(('street', 'park')):
        clip = moving_clip(18, 128, 128, seed=seed)
        for part in ('train', 'val'):
            write_frames(tmp_path / 'data' / 'clips' / part / 'gt' / name, clip)
    config = CHECKOUT / 'configs' / 's2svr_s_deblur.py'
    arguments = ('--out', 'branch.pth', '--clips', 2, '--iters', 20)
    result = run_tool('train_details', config, *arguments, *OPTIONS)
    assert result.status == 0, result.output
    log = [json.loads(line) for line in (tmp_path / 'branch.pth.jsonl').read_text().splitlines()]
    assert [entry['iter'] for entry in log] == [20]
    branch = load_model(str(config), str(tmp_path / 'branch.pth')).details
    assert branch.last.weight.abs().sum() > 0

    more = ('train_cfg.max_iters=1', 'load_from=branch.pth', 'val_dataloader=None', 'val_cfg=None')
    result = run_tool('train', config, *OPTIONS, *more, 'val_evaluator=None')
    assert result.status == 0, result.output
    trained = read_weights(tmp_path / 'work_dirs' / 's2svr_s_deblur' / 'iter_1.pth')
    found = trained['generator.details.first.weight']
    torch.testing.assert_close(found, branch.first.weight.data, rtol=0, atol=2e-3)


def test_a_network_without_a_branch(run_tool, tmp_path):
    config = CHECKOUT / 'configs' / 's2svr_gopro.py'
    result = run_tool('train_details', config, '--out', 'branch.pth')
    assert result.status == 1
    assert 'detail_branch' in result.output
    assert not (tmp_path / 'branch.pth').exists()
