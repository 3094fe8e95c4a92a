# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
from helpers.clips import moving_clip
from mmagic.registry import TRANSFORMS

from s2svr_mm.datasets.transforms.motion_blur import frames_between


def blur(frames, **kwargs):
    paths = [f'{i}' for i in range(len(frames))]
    results = dict(key='a', gt=list(frames), gt_path=paths)
    return TRANSFORMS.build(dict(type='AverageMotionBlur', **kwargs))(results)


@pytest.mark.parametrize('gamma', [2.2, None])
def test_it_is_the_mean_in_linear_light_around_the_ground_truth(gamma):
    clip = moving_clip(9, 16, 24)
    results = blur(clip, num_frames=5, gamma=gamma)
    np.testing.assert_array_equal(results['gt'], clip[2:7])
    assert results['gt_path'] == results['img_path'] == ['2', '3', '4', '5', '6']
    light = (clip / 255.0) ** (gamma or 1)
    for i, frame in enumerate(results['img']):
        expected = 255 * light[i : i + 5].mean(0) ** (1 / (gamma or 1))
        assert np.abs(frame - expected).max() <= 0.5 + 1e-2


def test_stride():
    results = blur(moving_clip(15, 8, 8), num_frames=5, stride=5)
    assert results['gt_path'] == ['2', '7', '12']
    assert len(results['img']) == 3


def test_one_stride_for_a_clip():
    np.random.seed(0)
    clip = moving_clip(11, 8, 8)
    found = {tuple(blur(clip, num_frames=3, stride=[1, 4])['gt_path']) for _ in range(20)}
    assert found == {tuple(map(str, range(1, 10))), ('1', '5', '9')}


def test_a_still_clip_stays_as_it_is():
    clip = np.repeat(moving_clip(1, 16, 16), 9, 0)
    for frame in blur(clip, num_frames=7, in_between=3)['img']:
        assert np.abs(frame.astype(int) - clip[0]).max() <= 1


def test_one_window_for_a_clip():
    clip = moving_clip(9, 16, 16)
    expected = {n: blur(clip[4 - n // 2 : 5 + n // 2], num_frames=n)['img'][0] for n in (1, 5, 9)}
    np.random.seed(0)
    drawn = set()
    for _ in range(20):
        (frame,) = blur(clip, num_frames=[1, 5, 9])['img']
        drawn.add(next(n for n, e in expected.items() if np.array_equal(frame, e)))
    assert drawn == {1, 5, 9}


def test_frames_in_between_lie_on_the_path():
    # Every second frame of a slow clip; what is interpolated must be near what was left out.
    clip = moving_clip(5, 64, 64, shift=(2.0, 1.0), degrees=0)
    error, without = [], []
    for i in (0, 2):
        (middle,) = frames_between(clip[i], clip[i + 2], 1)
        inside = (slice(8, -8), slice(8, -8))
        error.append(np.abs(middle[inside].astype(int) - clip[i + 1][inside]).mean())
        mean = (clip[i].astype(int) + clip[i + 2]) / 2
        without.append(np.abs(mean[inside] - clip[i + 1][inside]).mean())
    assert np.mean(error) < 0.5 * np.mean(without)


def test_frames_in_between_fill_a_fast_smear():
    # A bar that jumps 8 pixels a frame leaves gaps, unless frames are interpolated.
    clip = np.full((5, 48, 96, 3), 40, np.uint8)
    for i, frame in enumerate(clip):
        frame[12:36, 16 + 8 * i : 28 + 8 * i] = 220
    ghosts = blur(clip, num_frames=5, gamma=None)['img'][0][24, 16:60, 0]
    smear = blur(clip, num_frames=5, gamma=None, in_between=7)['img'][0][24, 16:60, 0]
    assert (
        np.abs(np.diff(smear.astype(int), 2)).max() < np.abs(np.diff(ghosts.astype(int), 2)).max()
    )


def test_frames_in_between_are_drawn_for_each_clip():
    clip = moving_clip(7, 48, 64, shift=(6.0, 0.0), degrees=0)
    both = [blur(clip, num_frames=5, in_between=count)['img'] for count in (0, 7)]
    np.random.seed(0)
    drawn = [blur(clip, num_frames=5, in_between=[0, 7])['img'] for _ in range(12)]
    counts = [sum(np.array_equal(frame, one) for frame in drawn) for one in both]
    assert min(counts) > 0
    assert sum(counts) == 12


def test_too_few_frames():
    with pytest.raises(ValueError, match=r'a: 5 frames are fewer than the 7 to average.* by 6'):
        blur(moving_clip(5, 8, 8), num_frames=7)


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(num_frames=4), 'odd'),
        (dict(stride=0), 'stride=0'),
        (dict(stride=[1, 0]), r'stride=\[1, 0\]'),
        (dict(in_between=-1), 'in_between=-1'),
        (dict(in_between=[0, -1]), r'in_between=\[0, -1\]'),
    ],
)
def test_wrong_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        TRANSFORMS.build(dict(type='AverageMotionBlur', **kwargs))
