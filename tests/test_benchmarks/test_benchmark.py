# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json

import pytest
import torch
from mmagic.registry import MODELS
from mmengine.config import Config

import s2svr_mm  # noqa: F401

# Seconds; the flow network is of its real size and runs many times, maybe on a busy machine.
TIMEOUT = 400


@pytest.fixture
def weights(tiny_config, tmp_path):
    """``--config`` and ``--checkpoint`` of a tiny S2SVR with the flow network of the paper."""
    tiny_config.write_text(tiny_config.read_text().replace('TinyFlow', 'PWCLite'))
    torch.manual_seed(0)
    generator = MODELS.build(Config.fromfile(tiny_config).model.generator)
    torch.save(dict(state_dict=generator.state_dict()), tmp_path / 'tiny.pth')
    return ['--config', tiny_config, '--checkpoint', tmp_path / 'tiny.pth']


@pytest.mark.slow
def test_one_run_writes_figures_table_and_plot(start_tool, weights, tmp_path):
    result = start_tool(
        'benchmarks/benchmark',
        *weights,
        *('--models', 's2svr', 'reference', '--size', '16x16', '--frames', 3, '--rounds', 2),
        *('--frames-from', tmp_path / 'clips' / 'lq' / 'park'),
        *('--flow', '--profile', '--threads', 1),
        *('--sweep-frames', 1, 2, '--sweep-sizes', '8x16', '--out', tmp_path / 'out'),
    ).wait(TIMEOUT)
    assert result.status == 0, result.output
    assert {file.name for file in (tmp_path / 'out').glob('[!.]*')} == {
        'results.json',
        'table.md',
        'plot.png',
    }
    assert (tmp_path / 'out' / 'table.md').read_text().strip() in result.output
    figures = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert figures['machine']['threads'] == 1
    assert figures['base'] == 'S2SVR, reference'
    names = [row['name'] for row in figures['results']]
    assert names == ['S2SVR', 'its flow network', 'S2SVR, reference']
    for row in figures['results']:
        # Two rounds, and up to four more where they differ.
        assert 2 <= len(row['seconds']) <= 6
        assert row['seconds_per_frame'] > 0
        assert row['share_of_peak'] > 0
    assert [a['max_difference'] < 1e-4 for a in figures['agreement']] == [True]
    points = [(p['frames'], p['width'], p['height']) for p in figures['sweep']]
    assert points == [(1, 16, 16), (2, 16, 16), (3, 8, 16)]
    assert set(figures['profile']) == {'float32'}


@pytest.mark.slow
def test_training_step(start_tool, weights, tmp_path):
    result = start_tool(
        'benchmarks/benchmark',
        *weights,
        *('--models', 's2svr', '--training', '--size', '8x8', '--frames', 2, '--rounds', 1),
        *('--out', tmp_path / 'out'),
    ).wait(TIMEOUT)
    assert result.status == 0, result.output
    figures = json.loads((tmp_path / 'out' / 'results.json').read_text())
    names = [(row['name'], row['training'], row['frames']) for row in figures['results']]
    assert names == [('S2SVR', True, 8), ('S2SVR, with_cp', True, 8)]
    assert figures['base'] == 'S2SVR'


@pytest.mark.parametrize(
    ('args', 'status', 'message'),
    [
        (['--size', '160'], 2, "'160' is not WIDTHxHEIGHT"),
        (['--models', 's2svr', '--base', 'reference'], 2, '--base reference is not among --models'),
        (['--models', 'reference', '--flow'], 2, 'add it to --models'),
        (['--frames', '4'], 1, 'IconVSR needs 5 frames or more, got 4'),
        (['--device', 'cuda:99x'], 1, "there is no device 'cuda:99x'"),
        (['--out', 'file/out'], 1, '--out file/out cannot be made'),
    ],
)
def test_bad_input_is_one_message(args, status, message, run_tool, tmp_path):
    (tmp_path / 'file').touch()
    result = run_tool('benchmarks/benchmark', *args)
    assert result.status == status
    assert message in result.output
    assert 'Traceback' not in result.output
