# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import av
import numpy as np
import pytest
from av.video.frame import PictureType
from helpers.clips import moving_clip
from mmagic.registry import TRANSFORMS

from s2svr_mm.errors import ConfigError
from s2svr_mm.io.codec import encoder_options, protocol_options, recompress
from s2svr_mm.io.color import BT601, ColorInfo, from_rgb, to_rgb


def compress(frames, **kwargs):
    results = TRANSFORMS.build(dict(type='CompressVideo', **kwargs))(dict(gt=list(frames)))
    np.testing.assert_array_equal(results['gt'], frames)
    return np.stack(results['img'])


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((np.float64(a) - b) ** 2))


@pytest.mark.parametrize(
    ('codec', 'params'),
    [
        ('libx265', 'qp=37:bframes=0:ipratio=1:pbratio=1:keyint=-1'),
        # PyAV asks x264 for sliced threads, which the ffmpeg command does not.
        (
            'libx264',
            'qp=37:bframes=0:ipratio=1:pbratio=1:keyint=infinite:scenecut=0:sliced-threads=0',
        ),
    ],
)
def test_frames_are_those_of_a_file_encoded_with_the_same_settings(tmp_path, codec, params):
    clip, color = moving_clip(8, 128, 192), ColorInfo(matrix=BT601)
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w') as container:
        options = {f'{codec[3:]}-params': params}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 128, 192, 'yuv420p'
        for frame in clip:
            container.mux(stream.encode(from_rgb(frame, 'yuv420p', color)))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        decoded = [to_rgb(frame, color) for frame in container.decode(video=0)]
    np.testing.assert_array_equal(compress(clip, codec=codec, qp=37), decoded)


@pytest.mark.parametrize('codec', ['libx265', 'libx264'])
@pytest.mark.parametrize('mode', ['qp', 'crf'])
def test_quality_falls_with_the_parameter(codec, mode):
    clip = moving_clip(5, 96, 96, shift=(1.0, 0.0))
    quality = [psnr(compress(clip, codec=codec, **{mode: v}), clip) for v in (22, 32, 42)]
    assert quality[0] > quality[1] + 2 > quality[2] + 4


def test_low_delay_p_has_one_intra_frame_and_b_frames_come_on_demand():
    clip = moving_clip(9, 96, 96)
    clip[4:] = clip[4:, ::-1]  # a scene cut must not add an intra frame

    def kinds(bframes):
        options = protocol_options('libx265', qp=37, bframes=bframes)
        frames = (
            av.VideoFrame.from_ndarray(f, format='rgb24').reformat(format='yuv420p') for f in clip
        )
        return [PictureType(f.pict_type) for f in recompress(frames, 'libx265', options)]

    assert kinds(0) == [PictureType.I] + 8 * [PictureType.P]
    assert PictureType.B in kinds(3)
    assert compress(clip, qp=37, bframes=3).shape == clip.shape


@pytest.mark.parametrize('size', [(65, 97), (1, 1), (7, 130), (64, 64)])
@pytest.mark.parametrize('codec', ['libx265', 'libx264'])
def test_odd_and_small_frames_keep_their_size(codec, size):
    clip = moving_clip(3, 130, 130)[:, : size[0], : size[1]]
    out = compress(clip, codec=codec, qp=10)
    assert out.shape == clip.shape
    assert psnr(out, clip) > 25


def test_one_quality_for_a_clip():
    clip = moving_clip(4, 64, 64)
    by_qp = {qp: compress(clip, qp=qp) for qp in (25, 40)}
    transform = TRANSFORMS.build(dict(type='CompressVideo', qp=[25, 40]))
    np.random.seed(0)
    drawn = []
    for _ in range(12):
        out = np.stack(transform(dict(gt=list(clip)))['img'])
        drawn.append(next(qp for qp, frames in by_qp.items() if np.array_equal(out, frames)))
    assert set(drawn) == {25, 40}


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(qp=37, crf=20), 'either qp or crf'),
        (dict(), 'either qp or crf'),
        (dict(qp=60), 'lies in 0 to 51'),
        (dict(codec='av1', qp=37), "codec is 'libx265' or"),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(dict(type='CompressVideo', **kwargs))


# Two qualities of each codec and rate control, the better one first.
QUALITIES = [
    (dict(codec='libx264', presets=['veryfast', 'slow']), 'crf', 20, 36),
    (dict(codec='libx264'), 'qp', 20, 36),
    (dict(codec='libx264'), 'bits', 0.8, 0.05),
    (dict(codec='libx265', presets=['ultrafast']), 'crf', 20, 36),
    (dict(codec='libx265', bframes=(0, 0)), 'bits', 0.8, 0.05),
    (dict(codec='libvpx-vp9', presets=[8]), 'crf', 20, 55),
    (dict(codec='libvpx-vp9'), 'bits', 0.8, 0.05),
    (dict(codec='mpeg4'), 'qp', 2, 20),
    (dict(codec='mpeg4', keyint=(3, 3)), 'bits', 1.6, 0.1),
]


def compress_at_random(clip, seed, codecs, **kwargs):
    np.random.seed(seed)
    transform = TRANSFORMS.build(dict(type='RandomCompressVideo', codecs=codecs, **kwargs))
    return np.stack(transform(dict(gt=list(clip)))['img'])


@pytest.mark.parametrize(('entry', 'mode', 'better', 'worse'), QUALITIES)
def test_every_codec_and_rate_control(entry, mode, better, worse):
    clip = moving_clip(12, 97, 130, shift=(1.0, 0.5))
    outs = [
        [compress_at_random(clip, 3, [{**entry, mode: (v, v)}]) for _ in range(2)]
        for v in (better, worse)
    ]
    for first, again in outs:
        np.testing.assert_array_equal(first, again)
    good, bad = (psnr(first, clip) for first, _ in outs)
    assert good > bad + 2
    assert good > 27


def test_codecs_are_drawn_by_their_weight_and_settings_from_their_ranges():
    clip = moving_clip(3, 72, 72)
    codecs = [
        dict(codec='mpeg4', weight=3, qp=(4, 5), bframes=(0, 0)),
        dict(codec='libx264', crf=(20, 20), keyint=(1, 1)),
    ]
    expected = [
        ('mpeg4', encoder_options('mpeg4', ('qp', 4), keyint=250)),
        ('mpeg4', encoder_options('mpeg4', ('qp', 5), keyint=250)),
        ('libx264', encoder_options('libx264', ('crf', 20), keyint=1)),
    ]
    by_settings = [encoded(clip, *settings) for settings in expected]
    counts = np.zeros(3, int)
    for seed in range(60):
        out = compress_at_random(clip, seed, codecs)
        matches = [np.array_equal(out, frames) for frames in by_settings]
        assert sum(matches) == 1
        counts += matches
    assert counts[:2].min() > 10
    assert counts[2] in range(6, 25)  # 15 of 60 on average


def test_x264_gives_the_same_frames_each_time():
    clip = moving_clip(6, 112, 112)
    options = encoder_options('libx264', ('crf', 20), bframes=3)
    outs = [encoded(clip, 'libx264', options) for _ in range(12)]
    assert all(np.array_equal(out, outs[0]) for out in outs)


def encoded(clip, codec, options):
    color = ColorInfo(matrix=BT601)
    pictures = (from_rgb(frame, 'yuv420p', color) for frame in clip)
    return np.stack([to_rgb(f, color) for f in recompress(pictures, codec, options)])


def test_a_lead_in_moves_the_intra_frame_out_of_the_clip():
    clip = moving_clip(6, 96, 96, shift=(2.0, 1.0))
    codecs = [dict(codec='libx264', qp=(30, 30), bframes=(0, 0), keyint=(99, 99))]
    options = encoder_options('libx264', ('qp', 30), keyint=99)
    leads = []
    for seed in range(12):
        out = compress_at_random(clip, seed, codecs, lead_in=3)
        assert out.shape == clip.shape
        leads.append(
            next(
                n
                for n in range(4)
                if np.array_equal(out, encoded([*clip[n:0:-1], *clip], 'libx264', options)[n:])
            )
        )
    assert set(leads) == {0, 1, 2, 3}


@pytest.mark.parametrize('codec', ['libx264', 'libx265', 'libvpx-vp9', 'mpeg4'])
def test_next_to_no_bits_for_next_to_no_pixels(codec):
    clip = moving_clip(3, 16, 16)
    assert compress_at_random(clip, 0, [dict(codec=codec, bits=(0.005, 0.01))]).shape == clip.shape


@pytest.mark.parametrize(
    ('codecs', 'message'),
    [
        ([], 'Give codecs'),
        ([dict(codec='av1', crf=(20, 30))], 'has a codec of'),
        ([dict(codec='libx264', crf=(20, 30), gop=3)], 'keys of'),
        ([dict(codec='libx264')], "'crf', 'qp' or 'bits'"),
    ],
)
def test_wrong_codecs(codecs, message):
    with pytest.raises(ConfigError, match=message):
        TRANSFORMS.build(dict(type='RandomCompressVideo', codecs=codecs))


def test_a_rate_control_that_an_encoder_lacks():
    with pytest.raises(ConfigError, match='libvpx-vp9: crf, bitrate'):
        encoder_options('libvpx-vp9', ('qp', 30))
