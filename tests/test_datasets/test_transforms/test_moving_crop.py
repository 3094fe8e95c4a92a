# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest

from s2svr_mm.datasets.transforms import MovingCrop


def where_am_i(num_frames: int, height: int, width: int) -> list[np.ndarray]:
    """Frames that say at each pixel which row and column it is, and of which frame."""
    rows, columns = np.mgrid[:height, :width]
    return [np.stack([rows, columns, np.full_like(rows, i)], -1) for i in range(num_frames)]


def test_the_window_moves_evenly():
    np.random.seed(0)
    speeds = []
    for _ in range(50):
        frames = where_am_i(6, 90, 70)
        found = MovingCrop(['gt'], (24, 32), max_speed=5.0).transform(dict(gt=frames))['gt']
        assert [frame.shape for frame in found] == [(24, 32, 3)] * 6
        corners = np.array([frame[0, 0] for frame in found])
        assert corners[:, 2].tolist() == list(range(6))
        for frame, corner in zip(found, corners, strict=True):
            rows, columns, index = corner
            np.testing.assert_array_equal(
                frame, frames[index][rows : rows + 24, columns : columns + 32]
            )
        even = corners[0, :2] + np.arange(6)[:, None] * (corners[-1, :2] - corners[0, :2]) / 5
        assert np.abs(corners[:, :2] - even).max() <= 1
        speeds.append((corners[-1, :2] - corners[0, :2]) / 5)
    speeds = np.array(speeds)
    assert np.abs(speeds).max() <= 5.2
    assert speeds.min() < -1
    assert speeds.max() > 1
    assert np.abs(speeds.mean(0)).max() < 0.7


def test_all_keys_are_cropped_alike():
    found = MovingCrop(['img', 'gt'], (8, 8)).transform(
        dict(img=where_am_i(3, 40, 40), gt=where_am_i(3, 40, 40))
    )
    np.testing.assert_array_equal(found['img'], found['gt'])


def test_the_way_stays_in_frames_of_little_room():
    for size in (8, 9):
        found = MovingCrop(['gt'], (8, 8), max_speed=50.0).transform(
            dict(gt=where_am_i(4, size, 8))
        )
        assert [frame.shape for frame in found['gt']] == [(8, 8, 3)] * 4


def test_one_frame_is_enough():
    found = MovingCrop(['gt'], (8, 8)).transform(dict(gt=where_am_i(1, 20, 20)))
    assert found['gt'][0].shape == (8, 8, 3)


def test_frames_too_small_or_of_two_sizes_are_named():
    with pytest.raises(ValueError, match=r'market/3: .*\(6, 20\)'):
        MovingCrop(['gt'], (8, 8)).transform(dict(gt=where_am_i(2, 6, 20), key='market/3'))
    with pytest.raises(ValueError, match='one size'):
        MovingCrop(['img', 'gt'], (8, 8)).transform(
            dict(img=where_am_i(2, 10, 10), gt=where_am_i(2, 20, 20))
        )


@pytest.mark.parametrize('kwargs', [dict(crop_size=(0, 8)), dict(max_speed=-1.0)])
def test_impossible_settings_are_refused(kwargs):
    with pytest.raises(ValueError, match='MovingCrop needs'):
        MovingCrop(**dict(dict(keys=['gt'], crop_size=(8, 8)), **kwargs))
