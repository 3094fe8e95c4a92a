# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What the hooks write, and what they leave alone."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmagic.structures import DataSample

from s2svr_mm.engine import SaveFramesHook, SaveMetricsHook
from s2svr_mm.errors import OutputError

RUNNER = SimpleNamespace(test_loop=SimpleNamespace(evaluators=[]))


def sample(value: int) -> DataSample:
    """Two restored frames of a clip 'walk', of one value."""
    paths = ['walk/a1.png', 'walk/a2.png']
    restored = DataSample(metainfo=dict(key='walk', img_path=paths))
    restored.output = DataSample(pred_img=torch.full((2, 3, 4, 6), float(value)))
    return restored


def test_frames_of_an_earlier_test_are_replaced_and_others_are_not(tmp_path):
    (tmp_path / 'walk').mkdir()
    (tmp_path / 'walk' / 'notes.txt').write_text('precious')
    for value in (10, 20):
        SaveFramesHook(tmp_path).after_test_iter(RUNNER, 0, None, [sample(value)])
        for name in ('a1', 'a2'):
            assert (cv2.imread(str(tmp_path / 'walk' / f'{name}.png')) == value).all()
    cv2.imwrite(str(tmp_path / 'walk' / 'a2.png'), np.zeros((4, 6, 3), np.uint8))
    with pytest.raises(OutputError, match=r'walk holds a2\.png, which this program did not make'):
        SaveFramesHook(tmp_path).after_test_iter(RUNNER, 0, None, [sample(30)])
    assert (cv2.imread(str(tmp_path / 'walk' / 'a1.png')) == 20).all()
    assert (tmp_path / 'walk' / 'notes.txt').read_text() == 'precious'


def test_metrics_of_an_earlier_test_are_replaced_and_other_files_are_not(tmp_path):
    for value in (1.0, 2.0):
        SaveMetricsHook(tmp_path / 'out.json').after_test_epoch(RUNNER, {'PSNR': value})
        assert json.loads((tmp_path / 'out.json').read_text()) == {'PSNR': value}
    (tmp_path / 'theirs.json').write_text('{}')
    with pytest.raises(OutputError, match=r'holds theirs\.json'):
        SaveMetricsHook(tmp_path / 'theirs.json').after_test_epoch(RUNNER, {'PSNR': 3.0})
    assert (tmp_path / 'theirs.json').read_text() == '{}'
