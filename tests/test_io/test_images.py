# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import cv2
import numpy as np
import pytest
from helpers.clips import moving_clip
from PIL import Image, ImageOps, TiffImagePlugin

from s2svr_mm.errors import DataError
from s2svr_mm.io.clips import open_reader
from s2svr_mm.io.images import AnimationReader, ImageReader, read_image


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


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif'])
@pytest.mark.parametrize('value', range(1, 9))
def test_exif_orientation_is_applied_in_every_format_that_has_it(tmp_path, image, suffix, value):
    exif = Image.Exif()
    exif[274] = value
    path = tmp_path / f'a{suffix}'
    options = {
        '.webp': dict(lossless=True),
        '.jpg': dict(quality=100, subsampling=0),
    }
    Image.fromarray(image).save(path, exif=exif, **options.get(suffix, {}))
    with Image.open(path) as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored).convert('RGB'))
    frame = read_image(str(path))
    assert frame.shape == upright.shape
    assert np.abs(frame.astype(int) - upright).max() <= 3


@pytest.fixture
def pictures():
    return [Image.fromarray(frame) for frame in moving_clip(6, 24, 32)]


@pytest.mark.parametrize(
    ('name', 'options', 'times'),
    [
        ('a.webp', dict(duration=[40, 80, 40, 40, 40, 40], lossless=True), [0, 40, 120]),
        ('a.png', dict(duration=100), [0, 100, 200]),
        ('a.gif', dict(duration=50), [0, 50, 100]),
        ('a.tif', dict(), [0, 1, 2]),
    ],
)
def test_animated_and_paged_files_give_all_their_pictures(tmp_path, pictures, name, options, times):
    path = tmp_path / name
    first, *others = [p.quantize(250) for p in pictures] if name == 'a.gif' else pictures
    first.save(path, save_all=True, append_images=others, **options)
    reader = open_reader(str(path))
    assert isinstance(reader, AnimationReader)
    assert len(reader) == 6
    frames = list(reader.iterate())
    assert [frame.time for frame in frames[:3]] == times == reader.times[:3]
    for frame, picture in zip(frames, (first, *others), strict=True):
        np.testing.assert_array_equal(frame.rgb, np.asarray(picture.convert('RGB')))
    for index in (5, 2, 0):
        np.testing.assert_array_equal(reader.read([index])[0].rgb, frames[index].rgb)
    with pytest.raises(DataError, match=rf'{name} holds 6 pictures, so it is a clip by itself'):
        read_image(str(path))


def test_a_picture_for_old_viewers_is_no_frame_of_an_animation(tmp_path, pictures):
    path = tmp_path / 'a.png'
    first, *others = pictures
    first.save(path, save_all=True, append_images=others, default_image=True)
    frames = list(open_reader(str(path)).iterate())
    assert len(frames) == 5
    np.testing.assert_array_equal(frames[0].rgb, np.asarray(pictures[1]))


def test_a_thumbnail_is_no_page(tmp_path, pictures):
    path = tmp_path / 'a.tif'
    small = pictures[1].resize((8, 6))
    with TiffImagePlugin.AppendingTiffWriter(str(path), new=True) as pages:
        pictures[0].save(pages, 'TIFF')
        pages.newFrame()
        small.save(pages, 'TIFF', tiffinfo={254: 1})
        pages.newFrame()
    assert isinstance(open_reader(str(path)), ImageReader)
    np.testing.assert_array_equal(read_image(str(path)), np.asarray(pictures[0]))


def test_pages_of_16_bits_keep_their_depth(tmp_path):
    pages = np.random.default_rng(0).integers(0, 65536, (3, 12, 16, 3)).astype(np.uint16)
    assert cv2.imwritemulti(str(tmp_path / 'a.tif'), list(pages))
    frames = [frame.rgb[..., ::-1] for frame in open_reader(str(tmp_path / 'a.tif')).iterate()]
    np.testing.assert_array_equal(frames, pages)


def test_still_gif(tmp_path, pictures):
    pictures[0].quantize(250).save(tmp_path / 'a.gif')
    assert isinstance(open_reader(str(tmp_path / 'a.gif')), ImageReader)
    assert np.abs(read_image(str(tmp_path / 'a.gif')).astype(int) - pictures[0]).mean() < 8


def test_transparent_animation_is_refused(tmp_path, pictures):
    for picture in pictures:
        picture.putalpha(100)
    path = tmp_path / 'a.webp'
    pictures[0].save(path, save_all=True, append_images=pictures[1:], lossless=True)
    with pytest.raises(DataError, match=r'a\.webp: frame 0 is partly transparent'):
        open_reader(str(path)).read([0])


def test_fingerprint_is_of_the_content(tmp_path, image):
    for name in ('0.png', '1.png', '2.png'):
        write(tmp_path / name, image)
    reader = open_reader(str(tmp_path))
    before = reader.fingerprint(), reader.fingerprint(0, 2)
    write(tmp_path / '2.png', image)  # touched
    assert (reader.fingerprint(), reader.fingerprint(0, 2)) == before
    write(tmp_path / '2.png', image[::-1].copy())
    assert reader.fingerprint() != before[0]
    assert reader.fingerprint(0, 2) == before[1]


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
