# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from pathlib import Path

import av
import numpy as np
import pytest

from s2svr_mm.errors import DataError
from s2svr_mm.io.yuv import YuvReader


@pytest.fixture
def yuv(tmp_path):
    planes = np.random.default_rng(0).integers(16, 236, (5, 24 * 3 // 2, 32), np.uint8)
    path = tmp_path / 'walk_32x24_5.yuv'
    path.write_bytes(planes.tobytes())
    return str(path), planes


def test_frames_by_number_and_in_a_row(yuv):
    path, planes = yuv
    reader = YuvReader(path)
    assert len(reader) == 5
    np.testing.assert_array_equal(reader.luma(3), planes[3][:24])
    row = list(reader.iterate())
    for index, frame in zip((3, 0), reader.read([3, 0]), strict=True):
        assert frame.index == index
        np.testing.assert_array_equal(frame.rgb, row[index].rgb)


def test_colours_are_those_of_bt601(yuv):
    """Chroma is the same in 2x2 blocks here and there, so its interpolation does not matter."""
    path, planes = yuv
    planes[:, 24:] = np.array([90, 160], np.uint8)[:, None, None].repeat(6, 1).reshape(12, 1)
    Path(path).write_bytes(planes.tobytes())
    y = (planes[0][:24].astype(float) - 16) * 255 / 219
    u, v = (90 - 128) * 255 / 224, (160 - 128) * 255 / 224
    rgb = [
        y + 2 * (1 - 0.299) * v,
        y - 2 * (0.114 * (1 - 0.114) * u + 0.299 * (1 - 0.299) * v) / 0.587,
        y + 2 * (1 - 0.114) * u,
    ]
    expected = np.stack(rgb, -1).clip(0, 255)
    assert np.abs(YuvReader(path).read([0])[0].rgb - expected).max() <= 0.51


@pytest.mark.parametrize(
    ('name', 'pix_fmt', 'frames'),
    [
        ('walk_32x24_5.yuv', 'yuv420p', 5),
        ('walk_32x24_444.yuv', 'yuv420p', 444),
        ('walk_32x24_444.yuv', 'yuv444p', 5),
        ('walk_32x24_30_10bit.yuv', 'yuv420p10le', 3),
        ('Walk_32x24_10bit_422.yuv', 'yuv422p10le', 3),
        ('walk_32x24_yuv444p12le.yuv', 'yuv444p12le', 2),
        ('walk_32x24_50_10bit_420_YUV.yuv', 'yuv420p10le', 2),
        ('walk_32x24_p010.yuv', 'p010le', 2),
        ('walk_32x24_nv12.yuv', 'nv12', 2),
        ('walk_33x25_444.yuv', 'yuv444p', 2),
    ],
)
def test_what_the_name_says_is_how_it_is_read(tmp_path, name, pix_fmt, frames):
    """Judged by FFmpeg's own reader of raw video, told the format."""
    width, height = (33, 25) if '33' in name else (32, 24)
    deep = pix_fmt.endswith('le')
    size = av.VideoFormat(pix_fmt, width, height).padded_bits_per_pixel * width * height // 8
    rng = np.random.default_rng(0)
    if deep:
        data = rng.integers(64, 940, frames * size // 2).astype('<u2')
        data *= 64 if pix_fmt == 'p010le' else 1
    else:
        data = rng.integers(16, 235, frames * size, np.uint8)
    path = tmp_path / name
    path.write_bytes(data.tobytes())
    reader = YuvReader(str(path))
    assert (reader.pix_fmt, len(reader)) == (pix_fmt, frames)
    options = dict(video_size=f'{width}x{height}', pixel_format=pix_fmt)
    with av.open(str(path), format='rawvideo', options=options) as container:
        expected = list(container.decode(video=0))[1]
    target = 'yuv444p12le' if deep else 'yuv444p'
    np.testing.assert_array_equal(
        *(p.reformat(format=target).to_ndarray() for p in (reader.picture(1), expected))
        if not deep
        else (np.frombuffer(p.planes[0], np.uint8) for p in (reader.picture(1), expected))
    )
    frame = reader.read([1])[0]
    assert frame.rgb.shape == (height, width, 3)
    assert frame.rgb.dtype == (np.uint16 if deep else np.uint8)
    assert reader.luma(1).max() < 256


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('a_720x576i_25.yuv', 'interlaced'),
        ('a_32x24_yv12.yuv', 'yv12 is not read'),
        ('a_32x24_rgb24.yuv', 'rgb24 is not read'),
        ('a_32x24_11bit.yuv', '11 bits, which is not read'),
        ('a_33x24_1.yuv', 'even width and height, got 33x24'),
        ('a.yuv', r'does not state its frame size.*yuv_size'),
        ('a_32x24_10bit.yuv', 'no multiple'),
    ],
)
def test_what_can_not_be_read_is_refused_by_name(tmp_path, name, message):
    (tmp_path / name).write_bytes(bytes(1153))
    with pytest.raises(DataError, match=message):
        YuvReader(str(tmp_path / name))


def test_length_is_no_multiple(yuv):
    with open(yuv[0], 'ab') as file:
        file.write(b'x')
    with pytest.raises(DataError, match=r'walk_32x24_5\.yuv holds 5761 bytes.*no multiple'):
        YuvReader(yuv[0])


def test_given_size(tmp_path):
    (tmp_path / 'a.yuv').write_bytes(bytes(1152))
    assert len(YuvReader(str(tmp_path / 'a.yuv'), size=(32, 24))) == 1
