# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import io
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.networks import Neighbours
from helpers.restoring import restorer_of
from PIL import Image

from s2svr_mm.checkpoints.shipped import DEFAULT_MODELS, bundled_model
from s2svr_mm.cli.restore import add_arguments
from s2svr_mm.errors import ConfigError
from s2svr_mm.io.reader import VideoInfo
from s2svr_mm.io.y4m import Y4MReader, Y4MWriter
from s2svr_mm.restoration.batch import restore_videos
from s2svr_mm.restoration.options import OutputOptions
from s2svr_mm.restoration.output_size import OutputSize, default_model
from s2svr_mm.restoration.pipes import restore_stream
from s2svr_mm.restoration.resizing import resize
from s2svr_mm.restoration.restore_video import restore_video


@pytest.mark.parametrize(
    ('text', 'frame', 'size'),
    [
        ('2x', (120, 90), (240, 180)),
        ('1x', (7, 5), (7, 5)),
        ('1080p', (480, 640), (1080, 1440)),
        ('1080p', (480, 854), (1080, 1922)),
        ('480p', (720, 1280), (480, 854)),
        ('2p', (100, 1), (2, 2)),
        ('1920x1080', (100, 100), (1080, 1920)),
    ],
)
def test_sizes(text, frame, size):
    assert OutputSize.parse(text).of(*frame) == size


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        *((text, 'a size is 1920x1080') for text in ('', '2', '-2x', '1080', '1x2x3', 'p', 'x2')),
        *((text, 'a scale is from 1 to 16') for text in ('0x', '17x')),
        *((text, 'a side is from 1 to 65535') for text in ('0p', '1920x0', '99999p', '70000x2')),
    ],
)
def test_what_is_not_a_size(text, message):
    with pytest.raises(ConfigError, match=message):
        restorer_of(size=text)


def test_defaults_enlarge_as_they_are_listed():
    assert {scale: bundled_model(name).scale for scale, name in DEFAULT_MODELS.items()} == {
        scale: scale for scale in DEFAULT_MODELS
    }


@pytest.mark.parametrize(
    ('size', 'frame', 'scale'),
    [
        (None, (1, 1), 2),
        ('1x', None, 1),
        ('4x', None, 4),
        ('8x', None, 4),
        ('720p', (720, 1280), 1),
        ('480p', (480, 853), 1),
        ('480p', (720, 1280), 1),
        ('641x480', (480, 640), 2),
        ('2x', None, 2),
        ('720p', (360, 640), 2),
        ('721p', (360, 640), 4),
        ('2160p', (540, 960), 4),
    ],
)
def test_the_network_that_enlarges_far_enough(size, frame, scale):
    assert bundled_model(default_model(size, frame)).scale == scale


def test_a_folder_has_one_network(tmp_path):
    with pytest.raises(ConfigError, match='--model'):
        default_model('720p')
    (tmp_path / 'a.mp4').write_bytes(b'')
    with pytest.raises(ConfigError, match='--model'):
        restore_videos(tmp_path, tmp_path / 'out', size='720p')


@pytest.mark.parametrize('size', [(10, 14), (31, 40), (48, 64), (50, 20)])
@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.float32])
def test_resizing_is_that_of_pillow(size, kind):
    """Pillow's cubic kernel is the same one, and is widened in the same way."""
    peak = 65535 if kind == np.uint16 else 255
    frames = np.random.default_rng(0).uniform(0, peak, (2, 31, 40, 3)).astype(kind)
    resized = resize(frames, size)
    assert resized.dtype == kind
    assert resized.shape == (2, *size, 3)
    for frame, found in zip(frames, resized, strict=True):
        for channel in range(3):
            image = Image.fromarray(frame[..., channel].astype(np.float32))
            expected = np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))
            difference = np.abs(expected.clip(0, peak) - found[..., channel])
            assert difference.max() <= (1e-3 if kind == np.float32 else 0.6)


@pytest.mark.parametrize(('window', 'tile'), [(6, 0), (8, 24)])
def test_the_restorer_resizes_what_the_network_makes(window, tile):
    clip = [*moving_clip(11, 24, 32)]
    settings = dict(window=window, tile=tile, tile_overlap=8)
    made = np.stack(list(restorer_of(Neighbours(), **settings).restore(clip)))
    restorer = restorer_of(Neighbours(), size='36p', **settings)
    assert restorer.output_size(24, 32) == (36, 48)
    np.testing.assert_array_equal(np.stack(list(restorer.restore(clip))), resize(made, (36, 48)))
    assert any('64x48, resized to 48x36' in note for note in restorer.decide(clip[:4]).notes)
    same = restorer_of(Neighbours(), size='2x', **settings)
    np.testing.assert_array_equal(np.stack(list(same.restore(clip))), made)
    assert not any('resized' in note for note in same.decide(clip[:4]).notes)


def test_a_video_is_shown_as_it_was(tmp_path, movie):
    """The movie's pixels are 4:3; another shape of the frame is made up for by them."""
    for size, (width, height), aspect in [
        ('30x30', (30, 30), Fraction(16, 9)),
        ('36p', (48, 36), Fraction(4, 3)),
    ]:
        output, shown = tmp_path / f'{size}.mkv', tmp_path / f'{size}.cmp.mkv'
        options = OutputOptions(compare=str(shown))
        network = restorer_of(Neighbours(), size=size)
        summary = restore_video(movie, output, network, options=options, progress=False)
        assert summary.output_size == (width, height)
        assert f'32x24 -> {width}x{height}' in str(summary)
        for path, factor in ((output, 1), (shown, 2)):
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                assert (stream.width, stream.height) == (factor * width, height)
                assert stream.sample_aspect_ratio == aspect
    folder = tmp_path / 'frames'
    restore_video(movie, folder, restorer_of(Neighbours(), size='30x20'), progress=False)
    with Image.open(next(folder.iterdir())) as image:
        assert image.size == (30, 20)


def test_resized_frames_count_as_memory():
    """A window of 60 frames, each enlarged to 200 times its pixels, does not fit any more."""
    clip = [*moving_clip(4, 48, 64)]
    budget = dict(window=None, overlap=None, memory_limit=200 * 2**20)
    assert restorer_of(**budget).decide(clip).plan.window == 60
    assert restorer_of(size='14x', **budget).decide(clip).plan.window < 60


def test_another_size_is_another_result(tmp_path, movie):
    """What was begun in one size is not gone on with in another."""
    first, second = (restorer_of(Neighbours(), size=size) for size in ('36p', '30p'))
    assert first.fingerprint() != second.fingerprint()


def test_a_pipe_has_the_size(tmp_path):
    clip, given, target = moving_clip(3, 24, 32), io.BytesIO(), io.BytesIO()
    writer = Y4MWriter(given, VideoInfo(24, 32), 'yuv444p')
    for rgb in clip:
        writer.write(rgb)
    source = Y4MReader(io.BytesIO(given.getvalue()))
    summary = restore_stream(source, target, restorer_of(size='12x20'), progress=False)
    found = Y4MReader(io.BytesIO(target.getvalue()))
    assert found.info.size == (20, 12) == summary.output_size[::-1]
    assert found.info.pixel_aspect == Fraction(32, 24) / Fraction(12, 20)
    assert sum(frame.rgb.shape == (20, 12, 3) for frame in found) == 3


def test_python_chooses_by_the_size(tmp_path, movie, monkeypatch):
    loaded = []

    def load_model(name):
        loaded.append(bundled_model(name).scale)
        return Neighbours(scale=loaded[-1])

    monkeypatch.setattr('s2svr_mm.restoration.restore_video.load_model', load_model)
    for size, scale in ((None, 2), ('24p', 1), ('4x', 4)):
        settings = dict(size=size, device='cpu', dtype='float32')
        output = tmp_path / f'{size}.mkv'
        summary = restore_video(movie, output, progress=False, frames=(0, 2), **settings)
        assert loaded[-1] == scale
        assert summary.output_size == (32 * scale, 24 * scale)


def test_arguments(capsys):
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)

    def size_of(*words):
        return parser.parse_args(['a.mp4', 'b.mp4', *words]).size

    assert size_of() is None
    assert size_of('--scale', '2') == '2x'
    assert size_of('--size', '1080p') == '1080p'
    assert size_of('--size', '1920x1080') == '1920x1080'
    for wrong in (['--scale', '0'], ['--size', '1080'], ['--scale', '2', '--size', '1080p']):
        with pytest.raises(SystemExit):
            size_of(*wrong)
