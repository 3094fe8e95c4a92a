# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import cv2
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip
from mmagic.registry import TRANSFORMS
from mmagic.utils import register_all_modules

from s2svr_mm.datasets.transforms import camera_motion as moving


def build(**kwargs):
    register_all_modules()
    return TRANSFORMS.build(dict(type='AddMotion', **kwargs))


@pytest.fixture
def still():
    """Five times the same frame, (60, 52)."""
    return [moving_clip(1, 60, 52)[0]] * 5


def test_frames_are_sampled_along_the_field(monkeypatch, still):
    field = torch.tensor((2.0, -1.0)).view(1, 2, 1, 1).expand(1, 2, 60, 52)
    monkeypatch.setattr(moving, 'random_field', lambda like, longest: field)
    moved = build(max_motion=3.0, prob=1.0)(dict(gt=still))['gt']
    assert len(moved) == 5
    for index, frame in enumerate(moved):
        x, y = 6 + 2 * (index - 2), 6 - (index - 2)
        np.testing.assert_array_equal(frame, still[0][y : y + 48, x : x + 40])


def test_a_clip_drifts_evenly(still):
    torch.manual_seed(0)
    moved = build(max_motion=3.0, prob=1.0)(dict(gt=still))['gt']
    assert [(f.shape, f.dtype) for f in moved] == [((48, 40, 3), np.uint8)] * 5
    np.testing.assert_array_equal(moved[2], still[0][6:-6, 6:-6])
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in moved]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    steps = [flow.calc(grey[i], grey[i + 1], None)[12:-12, 12:-12].mean((0, 1)) for i in range(4)]
    assert np.linalg.norm(steps, axis=1).min() > 0.3
    assert np.linalg.norm(steps, axis=1).max() < 3
    np.testing.assert_allclose(steps, np.broadcast_to(np.mean(steps, 0), (4, 2)), atol=0.3)


def test_mean_motion_is_drawn_evenly():
    y, x = np.mgrid[:60, :52]
    ramp = np.stack((4 * x, 4 * y, 0 * x), -1).astype(np.uint8)
    transform = build(max_motion=3.0, prob=1.0, min_motion=1.5)
    np.random.seed(0)
    torch.manual_seed(0)
    means = []
    for _ in range(40):
        first, *_, last = transform(dict(gt=[ramp] * 5))['gt']
        # Four steps of motion, on a ramp of four levels a pixel.
        motion = np.linalg.norm((last.astype(float) - first)[..., :2] / 16, axis=-1)
        assert motion.max() < 3.2
        means.append(motion.mean())
    assert min(means) > 1.2
    assert 1.9 < np.mean(means) < 2.4
    assert np.std(means) > 0.25


def test_share_of_the_clips(still):
    transform = build(max_motion=1.0, prob=0.3)
    np.random.seed(0)
    torch.manual_seed(0)
    moved = 0
    for _ in range(60):
        first, *_, last = transform(dict(gt=still))['gt']
        assert first.shape == (56, 48, 3)
        moved += not np.array_equal(first, last)
    assert 8 <= moved <= 28


def test_bad_input_is_named(still):
    with pytest.raises(ValueError, match=r'5 frames of 52x60 are too small to move by 13\.0 pixel'):
        build(max_motion=13.0)(dict(gt=still))
    with pytest.raises(ValueError, match=r'max_motion=0 \(over 0\)'):
        build(max_motion=0)
    with pytest.raises(ValueError, match=r'between 0 and max_motion=2\.0, but got 2\.5'):
        build(max_motion=2.0, min_motion=2.5)
