# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import shutil
import subprocess
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from s2svr_mm.io.color import (
    BT601,
    BT709,
    FULL_RANGE,
    LIMITED_RANGE,
    ColorInfo,
    LightLevel,
    MasteringDisplay,
    color_of,
    from_rgb,
    guess_matrix,
    to_rgb,
)
from s2svr_mm.io.video import VideoReader

# Weights of red and blue in luma, ITU-R BT.709, BT.601 and BT.2020.
LUMA = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
FLAGS = 'accurate_rnd+full_chroma_int+full_chroma_inp+bicubic'
has_ffmpeg = pytest.mark.skipif(not shutil.which('ffmpeg'), reason='needs the ffmpeg command')


def soft(height=64, width=96, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def samples_of(rgb, matrix, full, depth):
    """Y, Cb and Cr by the formulas of ITU-T H.273, unrounded, of RGB in [0, 1]."""
    red, blue = LUMA[matrix]
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    cb, cr = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    unit, peak = 2 ** (depth - 8), 2**depth - 1
    if full:
        return np.stack([y * peak, cb * peak + 128 * unit, cr * peak + 128 * unit])
    return np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr]) * unit


def planes(frame):
    dtype = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else '<u2')
    return [
        np.frombuffer(p, dtype).reshape(p.height, -1)[:, : p.width].astype(float)
        for p in frame.planes
    ]


@pytest.mark.parametrize('depth', [8, 10, 12])
@pytest.mark.parametrize('color_range', [LIMITED_RANGE, FULL_RANGE])
@pytest.mark.parametrize('matrix', [1, 6, 9])
def test_both_ways_are_the_formula_and_a_rounding(depth, color_range, matrix):
    pix_fmt = 'yuv444p' if depth == 8 else f'yuv444p{depth}le'
    rgb = soft() if depth == 8 else soft().astype(np.uint16) * 257
    color = ColorInfo(bits=min(depth, 10), matrix=matrix, color_range=color_range)
    frame = from_rgb(rgb, pix_fmt, color)
    peak = np.iinfo(rgb.dtype).max
    expected = samples_of(rgb / peak, matrix, color_range == FULL_RANGE, depth)
    expected = expected.clip(0, 2**depth - 1)
    assert np.abs(np.stack(planes(frame)) - expected).max() < 0.51
    back = to_rgb(frame, color).astype(float) * 255 / peak
    assert np.abs(back - rgb * (255 / peak)).max() < (2.5 if depth == 8 else 0.6)
    assert np.abs((back - rgb * (255 / peak)).mean((0, 1))).max() < 0.05
    assert (int(frame.colorspace), int(frame.color_range)) == (matrix, color_range)


@pytest.mark.parametrize('pix_fmt', ['yuv420p', 'yuv422p', 'yuv420p10le', 'nv12', 'p010le'])
@pytest.mark.parametrize('color_range', [LIMITED_RANGE, FULL_RANGE])
def test_shared_chroma_moves_no_level(pix_fmt, color_range):
    rgb = cv2.GaussianBlur(soft(), (0, 0), 3)
    deep = '10' in pix_fmt
    color = ColorInfo(bits=10 if deep else 8, color_range=color_range)
    back = to_rgb(from_rgb(rgb, pix_fmt, color), color) / (257.0 if deep else 1.0)
    assert np.abs((back - rgb).mean((0, 1))).max() < 0.05
    assert np.abs(back - rgb).mean() < 0.6


@pytest.mark.parametrize(
    ('pix_fmt', 'exact'),
    [('rgb24', 0), ('gbrp', 0), ('bgr0', 0), ('gbrp10le', 0.5), ('rgb48le', 0), ('gbrp16le', 0)],
)
def test_rgb_stays_what_it_is(pix_fmt, exact):
    rgb = soft()
    frame = from_rgb(rgb, pix_fmt, ColorInfo())
    color = color_of(frame)
    assert color.chroma == '444'
    back = to_rgb(frame, color) / (1.0 if color.bits == 8 else 257.0)
    assert np.abs(back - rgb).max() <= exact


@pytest.mark.parametrize('pix_fmt', ['gray', 'gray10le', 'gray16le'])
@pytest.mark.parametrize('color_range', [LIMITED_RANGE, FULL_RANGE])
def test_grey(pix_fmt, color_range):
    grey = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2).repeat(8, 0)
    color = ColorInfo(bits=8 if pix_fmt == 'gray' else 10, color_range=color_range)
    frame = from_rgb(grey, pix_fmt, color)
    assert color_of(frame).chroma == 'gray'
    assert int(color_of(frame).color_range) == color_range
    back = to_rgb(frame, color) / (1.0 if color.bits == 8 else 257.0)
    assert np.abs(back - grey).max() <= (1 if pix_fmt == 'gray' else 0.2)
    assert np.abs((back - grey).mean()) < 0.05


def test_grey_that_states_no_range_is_full_as_ffmpeg_has_it():
    assert color_of(av.VideoFrame(16, 16, 'gray')).color_range == FULL_RANGE
    assert color_of(av.VideoFrame(16, 16, 'yuv420p')).color_range == LIMITED_RANGE
    assert color_of(av.VideoFrame(16, 16, 'yuvj420p')).color_range == FULL_RANGE


@pytest.mark.parametrize(
    ('size', 'matrix'),
    [((576, 720), BT601), ((720, 96), BT709), ((96, 1280), BT709), ((719, 1279), BT601)],
)
def test_untagged_frames_are_taken_as_players_take_them(size, matrix):
    assert guess_matrix(*size) == matrix
    assert color_of(av.VideoFrame(size[1], size[0], 'yuv420p')).matrix == matrix


@pytest.mark.parametrize('pix_fmt', ['yuv420p', 'yuv444p', 'yuv420p10le'])
def test_ycgco(pix_fmt):
    """H.264 of screens may have it; the formula of H.273 is its own inverse with other signs."""
    rgb = cv2.GaussianBlur(soft(), (0, 0), 3)
    color = ColorInfo(bits=10 if '10' in pix_fmt else 8, matrix=8, color_range=FULL_RANGE)
    frame = from_rgb(rgb, pix_fmt, color)
    red, green, blue = np.moveaxis(rgb.astype(float) / 255, -1, 0)
    depth = frame.format.components[0].bits
    luma = (red + 2 * green + blue) / 4 * (2**depth - 1)
    assert np.abs(planes(frame)[0] - luma).max() < 0.51
    back = to_rgb(frame, color) / (257.0 if '10' in pix_fmt else 1.0)
    assert np.abs((back - rgb).mean((0, 1))).max() < 0.1


def neutral(num_frames=3):
    """Grey ramps that move: what a hue or a level too much shows on at once."""
    x = np.arange(128)[None, :] * 1.6 + np.arange(96)[:, None] * 0.4
    clip = [(20 + x + 3 * i).clip(0, 255).astype(np.uint8) for i in range(num_frames)]
    return np.repeat(np.stack(clip)[..., None], 3, 3)


def encoded(path, clip, codec, pix_fmt, color):
    with av.open(str(path), 'w') as container:
        params = {'libx264': 'x264-params', 'libx265': 'x265-params'}[codec]
        stream = container.add_stream(codec, rate=25, options={params: 'qp=1:log-level=none'})
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.colorspace = color.matrix
        stream.codec_context.color_range = color.color_range
        for rgb in clip:
            container.mux(stream.encode(from_rgb(rgb, pix_fmt, color)))
        container.mux(stream.encode())
    return path


def ffmpeg(*args):
    subprocess.run(['ffmpeg', '-v', 'error', '-y', *map(str, args)], check=True)


@pytest.mark.parametrize(
    ('codec', 'pix_fmt', 'color_range'),
    [
        ('libx264', 'yuv420p', LIMITED_RANGE),
        ('libx264', 'yuv420p', FULL_RANGE),
        ('libx265', 'yuv420p', LIMITED_RANGE),
        ('libx264', 'yuv422p', FULL_RANGE),
        # Of full range in 10 bits ffmpeg has white at 1020 instead of H.273's 1023.
        ('libx265', 'yuv420p10le', LIMITED_RANGE),
    ],
)
class TestNeutralFramesAtQP1:
    """Below 0.1 level on average, both ways, and by ffmpeg on the other side."""

    def test_through_our_own_hands(self, tmp_path, codec, pix_fmt, color_range):
        clip = neutral()
        color = ColorInfo(color_range=color_range)
        path = encoded(tmp_path / 'a.mkv', clip, codec, pix_fmt, color)
        unit = 257.0 if '10' in pix_fmt else 1.0
        frames = np.stack([frame.rgb / unit for frame in VideoReader(str(path)).iterate()])
        assert np.abs((frames - clip).mean((0, 1, 2))).max() < 0.1

    @has_ffmpeg
    def test_ffmpeg_reads_what_we_wrote(self, tmp_path, codec, pix_fmt, color_range):
        clip = neutral()
        path = encoded(tmp_path / 'a.mkv', clip, codec, pix_fmt, ColorInfo(color_range=color_range))
        ffmpeg(
            *('-i', path, '-vf', f'scale=sws_flags={FLAGS},format=rgb24'),
            *('-f', 'rawvideo', tmp_path / 'a.rgb'),
        )
        frames = np.fromfile(tmp_path / 'a.rgb', np.uint8).reshape(clip.shape)
        assert np.abs((frames.astype(float) - clip).mean((0, 1, 2))).max() < 0.1

    @has_ffmpeg
    def test_we_read_what_ffmpeg_wrote(self, tmp_path, codec, pix_fmt, color_range):
        clip = neutral()
        clip.tofile(tmp_path / 'a.rgb')
        kind = {LIMITED_RANGE: 'tv', FULL_RANGE: 'pc'}[color_range]
        ffmpeg(
            *('-f', 'rawvideo', '-s', '128x96', '-pix_fmt', 'rgb24', '-r', 25),
            *('-i', tmp_path / 'a.rgb'),
            '-vf',
            f'scale=out_color_matrix=bt709:out_range={kind}:flags={FLAGS},format={pix_fmt}',
            *('-color_range', kind, '-colorspace', 'bt709', '-c:v', codec, '-qp', 1),
            *('-x265-params', 'qp=1:log-level=none', tmp_path / 'a.mkv'),
        )
        unit = 257.0 if '10' in pix_fmt else 1.0
        reader = VideoReader(str(tmp_path / 'a.mkv'))
        frames = np.stack([frame.rgb / unit for frame in reader.iterate()])
        assert np.abs((frames - clip).mean((0, 1, 2))).max() < 0.1


def test_hdr_metadata(tmp_path):
    params = (
        'log-level=none:hdr10=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:'
        'master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):'
        'max-cll=1000,400'
    )
    with av.open(str(tmp_path / 'a.mkv'), 'w') as container:
        stream = container.add_stream('libx265', rate=25, options={'x265-params': params})
        stream.height, stream.width, stream.pix_fmt = 64, 96, 'yuv420p10le'
        container.mux(stream.encode(from_rgb(soft(), 'yuv420p10le', ColorInfo(matrix=9))))
        container.mux(stream.encode())
    color = VideoReader(str(tmp_path / 'a.mkv')).info.color
    assert (color.matrix, color.primaries, color.transfer, color.bits) == (9, 9, 16, 10)
    assert color.light_level == LightLevel(max_content=1000, max_average=400)
    assert color.mastering_display == MasteringDisplay(
        primaries=(
            (Fraction(34000, 50000), Fraction(16000, 50000)),
            (Fraction(13250, 50000), Fraction(34500, 50000)),
            (Fraction(7500, 50000), Fraction(3000, 50000)),
        ),
        white_point=(Fraction(15635, 50000), Fraction(16450, 50000)),
        min_luminance=Fraction(1, 10000),
        max_luminance=Fraction(1000),
    )
