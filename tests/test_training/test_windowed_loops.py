# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Clips measured in windows: the figures and frames of whole clips, never more than a window."""

import json

import pytest
import torch
from helpers.clips import degrade, moving_clip, write_frames
from helpers.networks import Neighbours
from mmagic.registry import METRICS, MODELS
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.registry import init_default_scope

from s2svr_mm.datasets.video_clip_dataset import VideoClipDataset
from s2svr_mm.errors import ConfigError
from s2svr_mm.evaluation.merging import merge_windows
from s2svr_mm.training import windowed_loops
from s2svr_mm.training.runner import run_test

MODELS.register_module(name='TestNeighbours', module=Neighbours, force=True)


@pytest.fixture
def test(tiny_config, tmp_path):
    """A function that tests a network that sees two frames to either side; figures, frames."""
    for name, frames, seed in (('long', 31, 3), ('short', 7, 4)):
        gt = moving_clip(frames, 64, 72, seed=seed)
        write_frames(tmp_path / 'two' / 'gt' / name, gt)
        write_frames(tmp_path / 'two' / 'lq' / name, degrade(gt, 4))
    init_default_scope('mmagic')
    calls = 0

    def run(evaluator=None, pipeline=(), **test_cfg):
        nonlocal calls
        calls += 1
        folder = tmp_path / str(calls)
        cfg = Config.fromfile(tiny_config)
        cfg.work_dir, cfg.launcher = str(folder / 'work'), 'none'
        cfg.model.generator = dict(type='TestNeighbours', scale=4, reach=2)
        cfg.test_dataloader.dataset.data_root = str(tmp_path / 'two')
        packed = dict(type='PackInputs', meta_keys=['key', 'gt_path'])
        cfg.test_dataloader.dataset.pipeline = [dict(type='LoadClip'), *pipeline, packed]
        metrics = [dict(type='PSNR', convert_to='Y'), dict(type='SSIM')]
        cfg.test_evaluator.metrics = evaluator or [
            *metrics,
            dict(type='PerClip', prefix='clip', metrics=metrics, num_clips=2, num_frames=38),
        ]
        cfg.test_cfg.update(test_cfg)
        torch.save(
            dict(state_dict=MODELS.build(cfg.model).state_dict()), folder.with_suffix('.pth')
        )
        run_test(cfg, str(folder.with_suffix('.pth')), str(folder / 'm.json'), str(folder / 'f'))
        frames = {str(p.relative_to(folder / 'f')): p.read_bytes() for p in folder.rglob('*.png')}
        return json.loads((folder / 'm.json').read_text()), frames

    return run


def test_figures_and_frames_are_those_of_whole_clips(test, monkeypatch):
    read = []
    load = VideoClipDataset.load_window
    monkeypatch.setattr(
        VideoClipDataset,
        'load_window',
        lambda self, idx, start, stop: read.append((start, stop)) or load(self, idx, start, stop),
    )
    expected, expected_frames = test(window=0)
    assert not read
    figures, frames = test(window=12, overlap=8)
    assert read == [(0, 12), (4, 16), (8, 20), (12, 24), (16, 28), (20, 31)]
    assert expected['clip/clips'].keys() == {'long', 'short'}
    for name, value in expected.items():
        if name != 'clip/clips':
            assert figures[name] == pytest.approx(value, abs=1e-5)
    for clip, values in expected['clip/clips'].items():
        assert figures['clip/clips'][clip] == pytest.approx(values, abs=1e-5)
    assert len(frames) == 38
    assert frames.keys() == expected_frames.keys()
    same = sum(frames[name] == expected_frames[name] for name in frames)
    assert same > 30  # fading between two equal frames may round once more
    apart, _ = test(window=4, overlap=0)
    assert abs(apart['PSNR'] - expected['PSNR']) > 1e-3


def test_by_default_what_fits_in_memory_is_whole(test, monkeypatch):
    read = []
    monkeypatch.setattr(windowed_loops, '_load', lambda *args: read.append(args))
    test()
    assert not read
    monkeypatch.setattr(windowed_loops, 'WHOLE_FRAMES', 30)
    plans = []
    monkeypatch.setattr(windowed_loops.WindowedLoop, '_plan', lambda *args: plans.append(args[2:4]))
    test()
    assert plans == [(31, (16, 18)), (7, (16, 18))]


def test_little_memory_means_short_windows(test, monkeypatch):
    taken = []
    load = windowed_loops._load

    def noted(dataset, number, plan):
        taken.append(plan.window)
        return load(dataset, number, plan)

    monkeypatch.setattr(windowed_loops, '_load', noted)
    expected, _ = test(window=0)
    figures, _ = test(memory_limit=400_000)
    assert taken
    assert max(taken) <= 12
    assert figures['PSNR'] == pytest.approx(expected['PSNR'], abs=0.05)


def test_clips_of_pipelines_that_need_them_are_whole(test, monkeypatch):
    monkeypatch.setattr(windowed_loops, '_load', None)
    metrics = [dict(type='PSNR'), dict(type='SSIM')]
    pipeline = [dict(type='MirrorSequence', keys=['img', 'gt'])]
    figures, frames = test(evaluator=metrics, window=12, pipeline=pipeline)
    assert len(frames) == 2 * 38
    assert figures.keys() == {'PSNR', 'SSIM'}


@METRICS.register_module(force=True)
class LastFrame(BaseMetric):
    """A metric that leaves something else than figures."""

    def process(self, data_batch, data_samples):
        self.results.append([1, 2])

    def compute_metrics(self, results):
        return dict(last=1.0)

    def evaluate(self):
        return super().evaluate(1)

    SAMPLER_MODE = 'normal'
    sample_model = 'orig'

    def prepare(self, module, dataloader):
        pass

    def get_metric_sampler(self, model, dataloader, metrics):
        return dataloader


def test_a_metric_that_can_not_be_merged_is_named(test):
    with pytest.raises(ConfigError, match=r'LastFrame does not measure.*window=0 in val_cfg'):
        test(evaluator=[dict(type='LastFrame')], window=12)


def test_windows_count_by_their_frames():
    assert merge_windows(LastFrame(), [dict(a=1.0), dict(a=4.0)], [2, 1]) == dict(a=2.0)


def test_bad_windows_are_refused(test):
    with pytest.raises(ConfigError, match='window must be more than the overlap'):
        test(window=8, overlap=8)
