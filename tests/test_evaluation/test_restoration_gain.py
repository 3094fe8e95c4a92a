# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip
from mmagic.evaluation.metrics import psnr, ssim
from mmagic.registry import METRICS
from mmagic.utils import register_all_modules


@pytest.fixture
def metric():
    register_all_modules()
    return METRICS.build(dict(type='RestorationGain'))


@pytest.fixture
def clips():
    """Ground truth, and copies with less and with more noise, (t, 3, h, w)."""

    def make(seed):
        gt = torch.from_numpy(moving_clip(3, 24, 32, seed=seed)).permute(0, 3, 1, 2).float()
        noise = torch.randn(gt.shape, generator=torch.Generator().manual_seed(seed))
        return gt, (gt + 3 * noise).clamp(0, 255), (gt + 9 * noise).clamp(0, 255)

    return make


def luma(bgr):
    """BT.601 luma of (3, h, w) in [0, 255], limited range."""
    b, g, r = (x.double().numpy() for x in bgr)
    return 16 + (24.966 * b + 128.553 * g + 65.481 * r) / 255


def test_gain_is_that_of_luma_averaged_over_frames_then_clips(metric, clips):
    expected = []
    for seed in range(2):
        gt, restored, given = clips(seed)
        metric.process(None, [dict(gt_img=gt, input=given, output=dict(pred_img=restored))])
        gains = []
        for true, better, worse in zip(gt, restored, given, strict=True):
            true, better, worse = (luma(frame) for frame in (true, better, worse))
            mse = [((x - true) ** 2).mean() for x in (better, worse)]
            gains.append(10 * np.log10(mse[1] / mse[0]))
        expected.append(np.mean(gains))
    found = metric.compute_metrics(metric.results)
    assert found['PSNR_gain'] == pytest.approx(np.mean(expected), abs=1e-3)
    assert found['SSIM_gain'] > 0


def test_single_frames_agree_with_mmagics_own_metrics(metric, clips):
    gt, restored, given = (clip[0] for clip in clips(0))
    metric.process(None, [dict(gt_img=gt, input=given, output=dict(pred_img=restored))])
    found = metric.compute_metrics(metric.results)
    options = dict(input_order='CHW', convert_to='Y', channel_order='BGR')
    for name, measure, factor in (('PSNR_gain', psnr, 1), ('SSIM_gain', ssim, 100)):
        gain = measure(gt, restored, **options) - measure(gt, given, **options)
        assert found[name] == pytest.approx(factor * gain)


def test_no_gain_at_another_scale(metric, clips):
    gt, restored, given = clips(0)
    sample = dict(gt_img=gt, input=given[..., ::2, ::2], output=dict(pred_img=restored))
    with pytest.raises(ValueError, match=r'of one shape, but got \(3, 3, 12, 16\)'):
        metric.process(None, [sample])
