# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest

from s2svr_mm.errors import DataError
from s2svr_mm.io.frames import read_frames
from s2svr_mm.io.yuv import count_yuv_frames, yuv420_to_rgb


@pytest.fixture
def yuv(tmp_path):
    planes = np.random.default_rng(0).integers(16, 236, (5, 24 * 3 // 2, 32), np.uint8)
    path = tmp_path / 'walk_32x24_5.yuv'
    path.write_bytes(planes.tobytes())
    return str(path), planes


def test_frames_by_number(yuv):
    path, planes = yuv
    assert count_yuv_frames(path) == 5
    for i, frame in zip((3, 0), read_frames([f'{path}#3', f'{path}#0']), strict=True):
        np.testing.assert_array_equal(frame, yuv420_to_rgb(planes[i]))


def test_colours_are_those_of_bt601(yuv):
    y = yuv[1][0][:24].astype(float)
    u, v = (p.astype(float).repeat(2, 0).repeat(2, 1) for p in yuv[1][0][24:].reshape(2, 12, 16))
    y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    rgb = [
        y + 2 * (1 - 0.299) * v,
        y - 2 * (0.114 * (1 - 0.114) * u + 0.299 * (1 - 0.299) * v) / 0.587,
        y + 2 * (1 - 0.114) * u,
    ]
    expected = np.stack(rgb, -1).clip(0, 255)
    assert np.abs(yuv420_to_rgb(yuv[1][0]) - expected).max() < 1


def test_length_is_no_multiple(yuv):
    with open(yuv[0], 'ab') as file:
        file.write(b'x')
    with pytest.raises(DataError, match=r'walk_32x24_5\.yuv holds 5761 bytes.*no multiple'):
        count_yuv_frames(yuv[0])


def test_odd_size(tmp_path):
    (tmp_path / 'a_33x24_1.yuv').write_bytes(bytes(1188))
    with pytest.raises(DataError, match='even width and height, got 33x24'):
        count_yuv_frames(str(tmp_path / 'a_33x24_1.yuv'))


def test_unknown_size(tmp_path):
    (tmp_path / 'a.yuv').write_bytes(bytes(1152))
    with pytest.raises(DataError, match=r'does not tell its frame size.*yuv_size'):
        count_yuv_frames(str(tmp_path / 'a.yuv'))
    assert count_yuv_frames(str(tmp_path / 'a.yuv'), (32, 24)) == 1
