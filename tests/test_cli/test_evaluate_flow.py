# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import csv
import re

import cv2
import mmcv
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT

from s2svr_mm.models import PWCLite

SHIFT = (2.0, -1.0)


@pytest.fixture
def scenes(tmp_path):
    """Two scenes in Middlebury's layout; everything moves by two pixels and one."""
    root = tmp_path / 'middlebury'
    for seed, scene in enumerate(('Street', 'Yard')):
        folder = write_frames(root / scene, moving_clip(2, 66, 80, SHIFT, 0.0, seed))
        for index in range(2):
            (folder / f'{index:08d}.png').rename(folder / f'frame{10 + index}.png')
        mmcv.flowwrite(np.tile(np.float32(SHIFT), (66, 80, 1)), str(folder / 'flow10.flo'))
    return root


@pytest.fixture
def checkpoint(tmp_path):
    """A whole model whose estimator says that nothing moves."""
    estimator = PWCLite()
    estimator.init_weights()
    state = {f'estimator.{name}': value for name, value in estimator.state_dict().items()}
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(state_dict={**state, 'flow_head.other': torch.zeros(1)}), path)
    return path


def test_one_table_of_all_estimators_and_degradations(run_tool, scenes, checkpoint, tmp_path):
    configs = CHECKOUT / 'configs'
    restorer = tmp_path / 'restorer.py'
    restorer.write_text(
        f'_base_ = {str(configs / "s2svr_s_x4.py")!r}\n'
        'model = dict(generator=dict(flow_estimator=dict(type="PWCLite")))\n'
    )
    result = run_tool(
        'evaluate_flow',
        scenes,
        *('--model', 'student', configs / 'flow_pwclite.py', checkpoint),
        *('--model', 'as a restorer sees', restorer, checkpoint),
        *('--out', tmp_path / 'table.md', tmp_path / 'table.csv'),
        *('--pictures', tmp_path / 'pictures'),
    )
    assert result.status == 0, result.output
    table = (tmp_path / 'table.md').read_text()
    assert table.strip() in result.output
    rows, aligned, cost = (cells_of(part) for part in table.split('\n\n'))
    motion = f'{np.hypot(*SHIFT):.3f} (100.0 %)'
    assert rows['zero flow'] == rows['student'] == [motion] * 4
    assert rows['as a restorer sees'] == [motion] * 4
    assert float(rows['DIS'][0].split()[0]) < 0.3
    # Degraded or not, it is the clean frames that are compared, and the truth aligns them.
    still = aligned['zero flow']
    assert still == aligned['student']
    assert len({cell.split()[1] for row in aligned.values() for cell in row}) == 1
    found, true = map(float, re.findall(r'[0-9.]+', aligned['DIS'][0]))
    assert true < 0.2 * float(still[0].split()[0])
    assert found < 0.5 * float(still[0].split()[0])
    macs = {name: [float(c.split(',')[0]) for c in cells] for name, cells in cost.items()}
    assert macs['DIS'] == [0] * 4
    assert macs['student'][0] == pytest.approx(128 * 128 * 107_158 / 1e9, abs=0.01)
    assert macs['student'][1] == pytest.approx(macs['student'][0] / 4, rel=0.01)
    assert macs['as a restorer sees'][1] == pytest.approx(macs['student'][0] / 4, rel=0.01)

    with open(tmp_path / 'table.csv') as file:
        figures = list(csv.DictReader(file))
    assert len(figures) == 4 * 4 * 3
    dis = [f for f in figures if f['estimator'] == 'DIS' and f['degradation'] == 'clean']
    assert [f['scene'] for f in dis] == ['Street', 'Yard', 'mean']
    errors = [float(f['EPE_2_5']) for f in dis]
    assert errors[2] == pytest.approx(sum(errors[:2]) / 2, abs=1e-3)
    picture = cv2.imread(str(tmp_path / 'pictures' / 'Yard' / 'sr_DIS.png'))
    assert picture.shape == (66, 80, 3)


def cells_of(table):
    """The cells of each row of a Markdown table by its first one."""
    lines = [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]
    assert lines[0][1:] == ['clean', 'x4 down', 'QP 37', 'blur']
    rows = {line[0]: line[1:] for line in lines[2:]}
    assert list(rows) == ['zero flow', 'DIS', 'student', 'as a restorer sees']
    return rows


@pytest.mark.parametrize('case', ['data', 'weights', 'config', 'out', 'unknown'])
def test_bad_input_is_one_message(case, run_tool, scenes, checkpoint, tmp_path):
    torch.save(dict(state_dict=dict(a=torch.zeros(1))), tmp_path / 'other.pth')
    teacher = CHECKOUT / 'configs' / 'flow_pwclite.py'
    args, message = {
        'data': ([tmp_path / 'nowhere'], 'nowhere is not a folder'),
        'weights': (
            [scenes, '--model', 'a', teacher, tmp_path / 'other.pth'],
            'other.pth does not fit PWCLite',
        ),
        'config': ([scenes, '--model', 'a', tmp_path / 'b.py', '-'], 'there is no config'),
        'out': ([scenes, '--out', tmp_path / 'table.txt'], '--out writes .md and .csv'),
        'unknown': ([scenes], 'zero flow, Yard, clean: The true flow is unknown at every pixel'),
    }[case]
    if case == 'unknown':
        nothing = np.full((66, 80, 2), 1e10, np.float32)
        mmcv.flowwrite(nothing, str(scenes / 'Yard' / 'flow10.flo'))
    result = run_tool('evaluate_flow', *args)
    assert result.status == 1
    assert message in result.output
    assert 'Traceback' not in result.output
