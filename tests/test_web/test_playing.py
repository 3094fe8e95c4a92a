# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os

import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.restoring import UNEVEN, run
from helpers.videos import pictures_of, write_movie

from s2svr_mm.web.playing import is_playable, make_playable


@pytest.mark.parametrize(
    ('name', 'given', 'expected'),
    [
        ('a.mp4', {}, True),
        ('sound.mp4', {'sound': True}, True),
        ('a.mkv', {}, False),
        ('hevc.mp4', {'codec': 'libx265'}, False),
        ('full.mp4', {'pix_fmt': 'yuv444p'}, False),
        ('deep.mp4', {'pix_fmt': 'yuv420p10le'}, False),
        ('late.mp4', {'times': [400, 440, 480]}, False),
    ],
)
def test_is_playable(tmp_path, name, given, expected):
    path = write_movie(tmp_path / name, moving_clip(3, 48, 64), **given)
    assert is_playable(path) is expected


def test_what_browsers_play_is_not_copied(tmp_path):
    path = write_movie(tmp_path / 'a.mp4', moving_clip(3, 48, 64))
    made = make_playable(path, tmp_path / 'play')
    assert made == tmp_path / 'play.mp4'
    assert os.path.samefile(made, path)
    # An older one is replaced, and what it was a link to stays.
    other = write_movie(tmp_path / 'b.mp4', moving_clip(4, 48, 64))
    assert os.path.samefile(make_playable(other, tmp_path / 'play'), other)
    assert len(pictures_of(path)[0]) == 3


@pytest.mark.parametrize('frames', [(0, None), (5, None), (3, 11)])
def test_input_and_result_are_in_step(tmp_path, frames):
    """A copy for browsers shows each frame when the restored video does."""
    clip = moving_clip(18, 48, 64)
    path = write_movie(tmp_path / 'a.mkv', clip, [900 + time for time in UNEVEN], codec='ffv1')
    run(path, tmp_path / 'result.mkv', frames=frames)
    copies = [
        make_playable(path, tmp_path / 'play-input', frames),
        make_playable(tmp_path / 'result.mkv', tmp_path / 'play-result'),
    ]
    (times, pictures), (result_times, _) = map(pictures_of, copies)
    assert all(map(is_playable, copies))
    assert times == pytest.approx(pictures_of(tmp_path / 'result.mkv')[0], abs=0.001)
    assert result_times == pytest.approx(times, abs=0.001)
    expected = clip[slice(*frames)]
    assert len(pictures) == len(expected)
    for number, picture in enumerate(pictures):
        distance = np.square(clip - picture.astype(float)).mean((1, 2, 3))
        assert distance.argmin() == frames[0] + number


def test_odd_sizes_and_deep_colour(tmp_path):
    clip = moving_clip(3, 47, 63).astype(np.uint16) * 257
    path = write_movie(tmp_path / 'odd.mkv', clip, codec='ffv1', pix_fmt='gbrp10le')
    times, pictures = pictures_of(make_playable(path, tmp_path / 'play'))
    assert (len(times), pictures.shape[1:3]) == (3, (48, 64))
    assert abs(pictures.mean() - clip.mean() / 257) < 1.5


def test_large_frames_are_reduced(tmp_path):
    frames = np.full((2, 32, 2600, 3), 90, np.uint8)
    path = write_movie(tmp_path / 'wide.mp4', frames)
    assert not is_playable(path)
    _, pictures = pictures_of(make_playable(path, tmp_path / 'play'))
    assert pictures.shape[1:3] == (32, 2560)
    assert abs(pictures.mean() - 90) < 1.5
