# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import cv2
import numpy as np
import pytest
from helpers.clips import moving_clip
from PIL import Image

from s2svr_mm.errors import DataError
from s2svr_mm.io.images import read_image


@pytest.fixture
def image():
    return moving_clip(1, 24, 32)[0]


def write(path, rgb):
    assert cv2.imwrite(str(path), rgb[..., ::-1] if rgb.ndim == 3 else rgb)
    return str(path)


def test_rgb_png_is_read_exactly(tmp_path, image):
    np.testing.assert_array_equal(read_image(write(tmp_path / 'a.png', image)), image)


def test_grey_png_gets_three_equal_channels(tmp_path, image):
    frame = read_image(write(tmp_path / 'a.png', image[..., 0]))
    np.testing.assert_array_equal(frame, np.stack([image[..., 0]] * 3, -1))


def test_16_bit_png_keeps_its_depth(tmp_path):
    deep = np.arange(24 * 32 * 3, dtype=np.uint16).reshape(24, 32, 3) * 28
    frame = read_image(write(tmp_path / 'a.png', deep))
    assert frame.dtype == np.float32
    np.testing.assert_array_equal(np.round(frame * 257), deep)


def test_16_bit_grey_png(tmp_path):
    frame = read_image(write(tmp_path / 'a.png', np.full((4, 6), 65535, np.uint16)))
    assert frame.shape == (4, 6, 3)
    assert (frame == 255).all()


def test_opaque_alpha_is_dropped(tmp_path, image):
    bgra = np.dstack([image[..., ::-1], np.full(image.shape[:2], 255, np.uint8)])
    cv2.imwrite(str(tmp_path / 'a.png'), bgra)
    np.testing.assert_array_equal(read_image(str(tmp_path / 'a.png')), image)


def test_transparency_is_refused(tmp_path, image):
    bgra = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    bgra[0, 0, 3] = 254
    cv2.imwrite(str(tmp_path / 'a.png'), bgra)
    with pytest.raises(DataError, match=r'a\.png is partly transparent.*Flatten'):
        read_image(str(tmp_path / 'a.png'))


def test_jpeg_orientation_is_applied(tmp_path, image):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(tmp_path / 'a.jpg', exif=exif, quality=100, subsampling=0)
    frame = read_image(str(tmp_path / 'a.jpg'))
    assert frame.shape == (32, 24, 3)
    assert np.abs(frame.astype(int) - np.rot90(image, -1)).mean() < 2


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('kept', [0, 0.1, 0.5, 0.9, 'all but the end'])
def test_truncated_image_is_refused(tmp_path, suffix, kept):
    path = tmp_path / f'0001{suffix}'
    write(path, moving_clip(1, 96, 96)[0])
    data = path.read_bytes()
    path.write_bytes(data[:-2] if kept == 'all but the end' else data[: int(kept * len(data))])
    with pytest.raises(DataError, match=rf'0001{suffix}.*truncated.*again'):
        read_image(str(path))


def test_damaged_png_is_refused(tmp_path):
    path = tmp_path / '0001.png'
    write(path, moving_clip(1, 96, 96)[0])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=r'0001\.png.*damaged'):
        read_image(str(path))


def test_not_an_image(tmp_path):
    (tmp_path / 'a.png').write_text('<html>404</html>')
    with pytest.raises(DataError, match=r'a\.png.*not an image'):
        read_image(str(tmp_path / 'a.png'))


def test_missing_image(tmp_path):
    with pytest.raises(DataError, match=r'gone\.png: No such file'):
        read_image(str(tmp_path / 'gone.png'))
