# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
import torch
from mmagic.registry import METRICS
from mmagic.utils import register_all_modules
from mmengine.logging import MMLogger
from torch import nn
from torch.utils.data import DataLoader

import s2svr_mm.evaluation  # noqa: F401

METRICS_IN_LUMA = [dict(type='PSNR', convert_to='Y'), dict(type='SSIM', convert_to='Y')]


@pytest.fixture
def samples():
    """Clips of 3 and of 2 frames, and a single frame, with noise on the output."""
    generator = torch.Generator().manual_seed(0)
    result = []
    for key, shape in (('walk', (3, 3, 16, 20)), ('city', (2, 3, 16, 20)), ('one', (3, 16, 20))):
        gt = torch.rand(shape, generator=generator) * 255
        noise = torch.randn(shape, generator=generator) * (2 + len(result))
        result.append(dict(key=key, gt_img=gt, output=dict(pred_img=(gt + noise).clamp(0, 255))))
    return result


@pytest.fixture
def log(tmp_path):
    """A function that gives what the current logger has written."""
    path = tmp_path / 'log.txt'
    MMLogger.get_instance(f'per_clip_{tmp_path.name}', log_file=str(path))
    return path.read_text


def evaluate(cfg, samples):
    return measure(cfg, samples)[0]


def measure(cfg, samples):
    """What a metric reports, and the metric."""
    register_all_modules()
    metric = METRICS.build(cfg)
    module = nn.Module()
    module.data_preprocessor = None
    metric.prepare(module, DataLoader(samples))
    for sample in samples:
        metric.process(None, [sample])
    return metric.evaluate(), metric


def test_reports_what_its_metrics_report(samples, log):
    alone = {}
    for cfg in METRICS_IN_LUMA:
        alone |= evaluate(dict(cfg, prefix='Vid4'), samples)
    found = evaluate(dict(type='PerClip', metrics=METRICS_IN_LUMA, prefix='Vid4'), samples)
    assert set(found) == {'Vid4/PSNR', 'Vid4/SSIM'}
    assert found == pytest.approx(alone)


def test_logs_each_clip(samples, log):
    found = evaluate(dict(type='PerClip', metrics=METRICS_IN_LUMA), samples)
    lines = [line.split() for line in log().splitlines() if ' frames  PSNR ' in line]
    assert [(line[0], int(line[1])) for line in lines] == [('walk', 3), ('city', 2), ('one', 1)]
    assert np.mean([float(line[4]) for line in lines]) == pytest.approx(found['PSNR'], abs=1e-4)


def test_keeps_the_figures_of_each_clip(samples, log):
    _, metric = measure(dict(type='PerClip', metrics=METRICS_IN_LUMA), samples)
    assert {key: figures['frames'] for key, figures in metric.clips.items()} == dict(
        walk=3, city=2, one=1
    )
    for sample in samples:
        alone = {}
        for cfg in METRICS_IN_LUMA:
            alone |= evaluate(cfg, [sample])
        figures = metric.clips[sample['key']]
        assert {name: figures[name] for name in alone} == pytest.approx(alone)


@pytest.mark.parametrize(
    ('expected', 'text'),
    [
        (dict(num_clips=3, num_frames=6), None),
        (dict(num_clips=4, num_frames=6), '4 clips with 6 frames'),
        (dict(num_clips=3, num_frames=7), '3 clips with 7 frames'),
        (dict(num_clips=10), '10 clips with any number of frames'),
    ],
)
def test_says_when_the_protocol_has_other_clips(samples, log, expected, text):
    evaluate(dict(type='PerClip', metrics=METRICS_IN_LUMA, list_clips=False, **expected), samples)
    said = log()
    assert 'figures of each clip' not in said
    if text is None:
        assert 'the protocol has' not in said
    else:
        expected = f'WARNING - 3 clips with 6 frames were measured, while the protocol has {text}'
        assert expected in said


def test_needs_a_metric():
    register_all_modules()
    with pytest.raises(ValueError, match='at least one metric'):
        METRICS.build(dict(type='PerClip', metrics=[]))
