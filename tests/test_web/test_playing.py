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
    other = write_movie(tmp_path / 'b.mp4', moving_clip(3, 48, 64, seed=1))
    folder = tmp_path / 'job'
    folder.mkdir()
    assert make_playable(path, other, folder) == ['play-input.mp4', 'play-result.mp4']
    assert os.path.samefile(folder / 'play-input.mp4', path)
    assert os.path.samefile(folder / 'play-result.mp4', other)
    # Older ones are replaced, and what they were links to stays.
    make_playable(other, other, folder)
    assert os.path.samefile(folder / 'play-input.mp4', other)
    assert len(pictures_of(path)[0]) == 3


@pytest.mark.parametrize('frames', [(0, None), (5, None), (3, 11)])
def test_input_and_result_are_in_step(tmp_path, frames):
    """Input and result show each frame when the restored video does, whatever the input's clock."""
    clip = moving_clip(18, 48, 64)
    path = write_movie(tmp_path / 'a.mkv', clip, [900 + time for time in UNEVEN], codec='ffv1')
    result = tmp_path / 'result.mkv'
    run(path, result, frames=frames)
    copies = [tmp_path / name for name in make_playable(path, result, tmp_path, frames)]
    assert all(map(is_playable, copies))
    expected = UNEVEN[slice(*frames)]
    for copy in copies:
        times, pictures = pictures_of(copy)
        assert times == pytest.approx([(t - expected[0]) / 1000 for t in expected], abs=0.001)
        for number, picture in enumerate(pictures):
            distance = np.square(clip - picture.astype(float)).mean((1, 2, 3))
            assert distance.argmin() == frames[0] + number


def test_another_clock_is_copied(tmp_path):
    """A video that browsers would play by itself, but not in step with the result."""
    clip = moving_clip(4, 48, 64)
    path = write_movie(tmp_path / 'a.mp4', clip, [0, 40, 80, 200])
    result = write_movie(tmp_path / 'b.mp4', clip)
    copies = [tmp_path / name for name in make_playable(path, result, tmp_path)]
    assert not os.path.samefile(copies[0], path)
    assert pictures_of(copies[0])[0] == pictures_of(result)[0]


def test_odd_sizes_deep_colour_and_large_frames(tmp_path):
    clip = moving_clip(3, 47, 63).astype(np.uint16) * 257
    odd = write_movie(tmp_path / 'odd.mkv', clip, codec='ffv1', pix_fmt='gbrp10le')
    wide = write_movie(tmp_path / 'wide.mp4', np.full((2, 32, 2600, 3), 90, np.uint8))
    assert not is_playable(wide)
    copies = [tmp_path / name for name in make_playable(odd, wide, tmp_path)]
    _, pictures = pictures_of(copies[0])
    # The result ends after two frames, and so does what is shown of the input.
    assert pictures.shape == (2, 48, 64, 3)
    assert abs(pictures.mean() - clip[:2].mean() / 257) < 1.5
    _, pictures = pictures_of(copies[1])
    assert pictures.shape == (2, 32, 2560, 3)
    assert abs(pictures.mean() - 90) < 1.5
