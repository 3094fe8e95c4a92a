# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
import torch
from mmagic.evaluation.metrics.psnr import psnr

from s2svr_mm.errors import ConfigError
from s2svr_mm.losses import ClipPSNRLoss


def test_it_is_the_psnr_that_mmagic_measures():
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 3, 3, 6, 7, generator=generator)
    restored = truth + 0.1 * torch.randn(truth.shape, generator=generator)
    measured = [
        psnr(*(255 * frame.permute(1, 2, 0).numpy().astype(np.float64) for frame in pair))
        for pair in zip(restored.flatten(0, 1), truth.flatten(0, 1), strict=True)
    ]
    loss = ClipPSNRLoss(loss_weight=0.5, ceiling=200.0)(restored, truth)
    assert loss.item() == pytest.approx(-0.5 * np.mean(measured), abs=1e-4)


def test_a_decibel_counts_the_same_in_good_and_in_bad_frames():
    """Up to the ceiling, where a perfect frame has no gradient and a finite loss."""
    errors = torch.tensor([1e-2, 1e-3, 0.0]).reshape(1, 3, 1, 1, 1).requires_grad_()
    frames = errors.expand(1, 3, 3, 4, 5)
    loss = ClipPSNRLoss(loss_weight=1.0, ceiling=90.0)(frames, torch.zeros(frames.shape))
    loss.backward()
    bad, good, perfect = errors.grad.flatten()
    assert (good * 1e-3).item() == pytest.approx((bad * 1e-2).item(), rel=1e-2)
    assert perfect.item() == 0
    assert errors.grad.isfinite().all()
    assert loss.item() == pytest.approx(-(40 + 60 + 90) / 3, abs=0.01)


def test_gradient_by_finite_differences():
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 2, 3, 4, 5, generator=generator)
    restored = (truth + 0.2 * torch.randn(truth.shape, generator=generator)).requires_grad_()
    ClipPSNRLoss()(restored, truth).backward()
    step = torch.zeros_like(truth)
    step[0, 1, 2, 3, 4] = 0.01
    with torch.no_grad():
        above, below = (ClipPSNRLoss()(restored + s, truth).double() for s in (step, -step))
    assert restored.grad[0, 1, 2, 3, 4].item() == pytest.approx(
        (above - below).item() / 0.02, rel=0.02
    )


def test_the_default_weighs_as_22_times_the_squared_error_at_30_db():
    """Restored frames may be bfloat16, as under autocast; the loss is not."""
    truth = torch.zeros(1, 2, 3, 4, 5)
    restored = torch.full(truth.shape, 10 ** (-30 / 20), requires_grad=True)
    ClipPSNRLoss()(restored, truth).backward()
    ours = restored.grad.clone()
    restored.grad = None
    (22 * (restored - truth).square().mean()).backward()
    assert ours.norm().item() == pytest.approx(restored.grad.norm().item(), rel=0.03)
    assert ClipPSNRLoss()(restored.bfloat16(), truth).dtype == torch.float32


def test_other_shapes_are_named():
    with pytest.raises(
        ValueError, match=r'\(1, 2, 3, 4, 5\) have a ground truth of \(1, 1, 3, 4, 5\)'
    ):
        ClipPSNRLoss()(torch.zeros(1, 2, 3, 4, 5), torch.zeros(1, 1, 3, 4, 5))


def test_a_bad_ceiling_is_named():
    with pytest.raises(ConfigError, match='ceiling must be above 0 dB, but got 0'):
        ClipPSNRLoss(ceiling=0)
