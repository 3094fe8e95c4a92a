# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import struct
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.outputs import rewrite
from helpers.videos import pictures_of, write_movie

from s2svr_mm.errors import EncodingError
from s2svr_mm.io.color import ColorInfo, LightLevel, MasteringDisplay
from s2svr_mm.io.encoding import choose_encoder
from s2svr_mm.io.muxing import write_video
from s2svr_mm.io.output_plan import TimeRange
from s2svr_mm.io.reader import VideoInfo
from s2svr_mm.io.rehearsal import plan_output
from s2svr_mm.io.segments import PacketEncoder, SegmentEncoder

INFO = VideoInfo(72, 96)


def written(path, clip, info=INFO, **choice):
    """A clip as a video file."""
    info = replace(info, height=clip.shape[1], width=clip.shape[2])
    settings = choose_encoder(info, path.suffix, **choice)
    encoder = SegmentEncoder(path.with_suffix('.packets'), settings)
    for time, rgb in enumerate(clip):
        encoder.write(rgb, time)
    encoder.finish()
    plan = plan_output(path.suffix, settings)
    notes = write_video(path, plan, [encoder.path], len(clip), TimeRange())
    assert notes == [f'not in the output: {what}' for what in settings.left_out]
    return path


@pytest.mark.parametrize(
    ('name', 'encoder'),
    [
        ('hevc', 'libx265'),
        ('H265', 'libx265'),
        ('h264', 'libx264'),
        ('x264', 'libx264'),
        ('av1', 'libsvtav1'),
        ('vp9', 'libvpx-vp9'),
        ('prores', 'prores_ks'),
        ('libx264', 'libx264'),
    ],
)
def test_names_of_codecs(name, encoder):
    assert choose_encoder(INFO, '.mkv', name).codec == encoder


def test_hevc_in_mp4_is_what_apples_players_ask_for(tmp_path):
    for codec in ('hevc', 'libx265'):
        path = written(tmp_path / f'{codec}.mp4', moving_clip(3, 72, 96), codec=codec)
        with av.open(str(path)) as container:
            assert container.streams.video[0].codec_context.codec_tag == 'hvc1'


@pytest.mark.parametrize('codec', ['mpeg4', 'ffv1', 'prores_ks', 'mjpeg'])
def test_options_that_an_encoder_would_ignore_are_refused(codec):
    with pytest.raises(EncodingError, match=rf'{codec} has no crf: leave out --crf.*libx264'):
        choose_encoder(INFO, '.mkv', codec, crf=20)
    with pytest.raises(EncodingError, match=f'{codec} has no preset'):
        choose_encoder(INFO, '.mkv', codec, preset='slow')
    assert choose_encoder(INFO, '.mkv', 'libx264', crf=0).options['crf'] == '0'


@pytest.mark.parametrize(
    ('codec', 'highest'), [('libx264', 51), ('libx265', 51), ('libsvtav1', 63), ('libvpx-vp9', 63)]
)
def test_a_crf_beyond_what_an_encoder_knows_is_refused(codec, highest):
    settings = choose_encoder(INFO, '.mkv', codec, crf=highest)
    PacketEncoder(settings).open()
    with pytest.raises(EncodingError, match=f'{codec} knows --crf up to {highest}, not 99'):
        choose_encoder(INFO, '.mkv', codec, crf=99)


@pytest.mark.parametrize('codec', ['mpeg4', 'mpeg2video', 'mjpeg', 'libvpx', 'wmv2', 'prores_ks'])
def test_older_encoders_are_as_good_as_the_default(tmp_path, codec):
    """And not 200 kbit/s, as they are if nobody says otherwise."""
    noise = np.random.default_rng(0).integers(0, 256, (6, 18, 24, 1), np.uint8)
    clip = noise.repeat(16, 1).repeat(16, 2).repeat(3, 3)
    info = replace(INFO, height=clip.shape[1], width=clip.shape[2])
    encoder = PacketEncoder(choose_encoder(info, '.nut', codec))
    packets = [p for i, rgb in enumerate(clip) for p in encoder.encode(rgb, i)] + encoder.finish()
    decoder = av.CodecContext.create(av.codec.Codec(codec, 'w').canonical_name, 'r')
    decoder.extradata = encoder.extradata
    decoder.width, decoder.height = info.width, info.height
    frames = [f for p in [*packets, None] for f in decoder.decode(p and av.Packet(p.data))]
    luma = np.stack([f.to_ndarray(format='gray').astype(float) for f in frames])
    assert len(luma) == len(clip)
    assert np.sqrt(np.mean((luma - clip[..., 0]) ** 2)) < 4


def test_ten_bits_and_richer_chroma_where_an_encoder_has_no_other():
    assert choose_encoder(INFO, '.mov', 'prores').pix_fmt == 'yuv422p10le'
    deep = replace(INFO, color=ColorInfo(bits=10, chroma='422'))
    assert choose_encoder(deep, '.mp4').pix_fmt == 'yuv422p10le'
    with pytest.raises(EncodingError, match='frames need'):
        choose_encoder(deep, '.mp4', 'mpeg4')
    # Where it has but 8 bits, that is said.
    shallow = choose_encoder(replace(INFO, color=ColorInfo(bits=10)), '.mp4', 'mpeg4')
    assert shallow.pix_fmt == 'yuv420p'
    assert 'bits beyond 8' in shallow.left_out[0]


HDR = ColorInfo(
    bits=10,
    matrix=9,
    primaries=9,
    transfer=16,
    mastering_display=MasteringDisplay(
        primaries=(
            (Fraction(34000, 50000), Fraction(16000, 50000)),
            (Fraction(13250, 50000), Fraction(34500, 50000)),
            (Fraction(7500, 50000), Fraction(3000, 50000)),
        ),
        white_point=(Fraction(15635, 50000), Fraction(16450, 50000)),
        min_luminance=Fraction(50, 10000),
        max_luminance=Fraction(1000),
    ),
    light_level=LightLevel(1000, 400),
)


def hdr_of(path):
    """Colour codes of the first frame, chromaticities, luminances and light level."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    data = {side.type.name: bytes(side) for side in frame.side_data}
    display = struct.unpack(
        '=20i', data.get('MASTERING_DISPLAY_METADATA', b'').ljust(80, b'\1')[:80]
    )
    light = struct.unpack('=2I', data.get('CONTENT_LIGHT_LEVEL', bytes(8)))
    codes = [int(c) for c in (frame.colorspace, frame.color_primaries, frame.color_trc)]
    return codes, np.array(display[::2]) / np.array(display[1::2]), light, frame.format.name


@pytest.mark.parametrize('codec', ['libx265', 'libx264', 'libsvtav1'])
@pytest.mark.parametrize('suffix', ['.mkv', '.mp4'])
def test_the_display_that_hdr_was_made_for_is_written_down(tmp_path, codec, suffix):
    clip = moving_clip(3, 72, 96).astype(np.uint16) * 257
    path = written(tmp_path / f'out{suffix}', clip, replace(INFO, color=HDR), codec=codec)
    codes, display, light, pix_fmt = hdr_of(path)
    assert codes == [9, 9, 16]
    assert light == (1000, 400)
    assert pix_fmt == 'yuv420p10le'
    chromaticities = [0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329]
    assert np.allclose(display[:8], chromaticities, atol=2e-5)
    assert np.allclose(display[8:], [0.005, 1000], atol=1e-4)


def test_hdr_that_an_encoder_cannot_write_down_is_named(tmp_path):
    clip = moving_clip(2, 72, 96).astype(np.uint16) * 257
    info = replace(INFO, color=HDR)
    path = written(tmp_path / 'out.mkv', clip, info, codec='libvpx-vp9')
    codes, _, light, _ = hdr_of(path)
    assert (codes, light) == ([9, 9, 16], (0, 0))
    left_out = choose_encoder(info, '.mkv', 'libvpx-vp9').left_out
    assert {what.split(' of ')[0] for what in left_out} == {
        'mastering display',
        'content light level',
        'the bits beyond 8',
    }


def test_hlg_keeps_its_transfer(tmp_path):
    clip = moving_clip(2, 72, 96).astype(np.uint16) * 257
    color = ColorInfo(bits=10, matrix=9, primaries=9, transfer=18)
    for suffix in ('.mp4', '.mkv', '.ts'):
        path = written(tmp_path / f'out{suffix}', clip, replace(INFO, color=color))
        codes, _, _, pix_fmt = hdr_of(path)
        assert (codes, pix_fmt) == ([9, 9, 18], 'yuv420p10le')


@pytest.mark.parametrize('matrix', [1, 6, 9])
@pytest.mark.parametrize('full', [False, True])
def test_grey_is_written_without_an_error_on_average(tmp_path, matrix, full):
    """By ITU-T H.273: Y = 16 + 219 g or 255 g, and no colour, whatever the matrix."""
    levels = np.arange(256, dtype=np.uint8)
    clip = np.repeat(np.repeat(levels.reshape(1, 1, 256, 1), 72, 1), 3, 3)
    color = ColorInfo(matrix=matrix, color_range=2 if full else 1)
    path = written(tmp_path / 'out.mkv', clip, replace(INFO, color=color), codec='ffv1')
    with av.open(str(path)) as container:
        planes = next(container.decode(video=0)).to_ndarray()
    exact = np.arange(256.0) if full else 16 + np.arange(256) * 219 / 255
    assert np.abs(planes[:72] - exact).max() < 0.51
    assert abs((planes[:72] - exact).mean()) < 0.1
    assert (planes[72:] == 128).all()


@pytest.mark.parametrize('codec', ['libx264', 'libx265'])
def test_the_same_frames_make_the_same_bytes(tmp_path, codec):
    # x264 with AVX-512 makes one of several files of this clip.
    clip = moving_clip(12, 256, 192)
    made = set()
    for _ in range(12 if codec == 'libx264' else 3):
        # Memory that encoders get holds something else each time.
        np.random.randint(0, 255, (np.random.randint(1, 2000), 300), np.uint8)
        made.add(written(tmp_path / 'a.mp4', clip, codec=codec).read_bytes())
        (tmp_path / 'a.mp4').unlink()
    assert len(made) == 1


def test_small_frames_get_an_encoder_that_takes_them():
    deep = replace(INFO.color, bits=10)
    for side, codec in ((64, 'libx264'), (66, 'libx265')):
        assert choose_encoder(VideoInfo(side, 96, color=deep), '.mkv').codec == codec
    for side, codec in ((62, 'libvpx-vp9'), (64, 'libsvtav1')):
        assert choose_encoder(VideoInfo(side, 96), '.webm').codec == codec


def test_webm_of_more_frames_a_second_than_av1_s_encoder_takes():
    info = VideoInfo(64, 96, rate=Fraction(240))
    assert choose_encoder(info, '.webm').codec == 'libsvtav1'
    fast = choose_encoder(replace(info, rate=Fraction(300)), '.webm')
    assert fast.codec == 'libvpx-vp9'
    PacketEncoder(fast).open()


@pytest.mark.parametrize('suffix', ['.ts', '.flv', '.mkv'])
def test_slow_videos_start_at_zero(tmp_path, suffix):
    """What some containers would put before the first frame is whole seconds there."""
    clip = moving_clip(5, 48, 64)
    source = write_movie(tmp_path / 'in.mkv', clip, times=[2000 * i for i in range(5)])
    rewrite(source, tmp_path / f'out{suffix}')
    times, _ = pictures_of(tmp_path / f'out{suffix}')
    assert [time - times[0] for time in times] == pytest.approx([2 * i for i in range(5)])
    assert times[0] < 2
