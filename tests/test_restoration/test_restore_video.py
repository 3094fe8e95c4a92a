# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
import threading
from fractions import Fraction
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.networks import Neighbours
from helpers.restoring import UNEVEN, Same, restorer_of, run
from helpers.videos import packets_of, pictures_of, write_movie
from torch import nn

from s2svr_mm.errors import DataError, EncodingError
from s2svr_mm.io.muxing import decoding_times
from s2svr_mm.restoration import restore_video as pipeline


def difference(a, b):
    """Mean; up to 7 is what chroma of half the size costs these colourful clips, and other frames
    differ by 40."""
    return np.abs(a.astype(np.int16) - b.astype(np.int16)).mean()


def test_all_but_the_pictures_stays(movie, tmp_path):
    out = tmp_path / 'out.mkv'
    summary = run(movie, out, Same(2), crf=4)
    assert (summary.frames, summary.output_size, summary.damage) == (18, (64, 48), None)
    times, frames = pictures_of(movie)
    new_times, new_frames = pictures_of(out)
    assert new_times == times
    assert new_frames.shape == (18, 48, 64, 3)
    assert difference(new_frames, frames.repeat(2, 1).repeat(2, 2)) < 8
    for kind in ('audio', 'subtitle'):
        assert packets_of(out, kind) == packets_of(movie, kind)
        assert packets_of(out, kind)
    with av.open(str(out)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['in.mkv', 'out.mkv']
    assert 'frames/s' in str(summary)
    assert 'peak memory' in str(summary)


def test_every_track_stays(movie, tmp_path):
    """Two of sound and two of subtitles, with their languages and which is the default."""
    both = tmp_path / 'both.mkv'
    with av.open(str(movie)) as source, av.open(str(both), 'w') as container:
        copies = []
        for stream, language in zip(
            [*source.streams, *source.streams.audio, *source.streams.subtitles],
            ('und', 'eng', 'fra', 'deu', 'ita'),
            strict=True,
        ):
            copy = container.add_stream_from_template(stream)
            copy.metadata['language'] = language
            copies.append((stream.index, copy))
        for packet in source.demux():
            for index, copy in copies:
                if packet.size and packet.stream_index == index:
                    again = av.Packet(bytes(packet))
                    again.time_base, again.pts, again.dts = packet.time_base, packet.pts, packet.dts
                    again.duration, again.is_keyframe = packet.duration, packet.is_keyframe
                    again.stream = copy
                    container.mux_one(again)
    run(both, tmp_path / 'out.mkv')

    def tracks(path):
        with av.open(str(path)) as container:
            return [
                (s.type, s.codec_context.name, s.metadata.get('language'), int(s.disposition))
                for s in container.streams
                if s.type != 'video'
            ]

    assert len(tracks(both)) == 4
    assert tracks(tmp_path / 'out.mkv') == tracks(both)


def test_mp4_keeps_uneven_times_and_sound(tmp_path):
    movie = write_movie(tmp_path / 'in.mp4', moving_clip(18, 24, 32), times=UNEVEN, sound=True)
    run(movie, tmp_path / 'out.mp4', segment=5)
    assert (
        pictures_of(tmp_path / 'out.mp4')[0] == pictures_of(movie)[0] == [t / 1000 for t in UNEVEN]
    )
    assert packets_of(tmp_path / 'out.mp4', 'audio') == packets_of(movie, 'audio')


def test_cut(movie, tmp_path):
    """Frames 5 to 11: from 190 ms to where frame 12 would start, moved to the start."""
    run(movie, tmp_path / 'out.mkv', frames=(5, 12), crf=4)
    times, frames = pictures_of(tmp_path / 'out.mkv')
    assert times == [(t - 190) / 1000 for t in UNEVEN[5:12]]
    assert difference(frames, pictures_of(movie)[1][5:12]) < 8
    sound = packets_of(tmp_path / 'out.mkv', 'audio')
    expected = [
        (round(time - 0.19, 3), data)
        for time, data in packets_of(movie, 'audio')
        if 0.19 <= time < 0.52
    ]
    assert [data for _, data in sound] == [data for _, data in expected]
    assert np.allclose([t for t, _ in sound], [t for t, _ in expected], atol=0.0011)
    text = packets_of(tmp_path / 'out.mkv', 'subtitle')
    assert text == [(0.01, b'line 1'), (0.21, b'line 2')]


@pytest.mark.parametrize('rotation', [90, 180, 270])
def test_rotation(tmp_path, rotation):
    """What is written stands upright, so it looks the same in every player."""
    clip = moving_clip(4, 24, 32)
    movie = write_movie(
        tmp_path / 'in.mp4',
        clip,
        rotation=rotation,
        pixel_aspect=Fraction(4, 3),
        options={'crf': '4'},
    )
    with av.open(str(movie)) as container:
        turns = next(container.decode(video=0)).rotation // 90
    assert turns % 4
    run(movie, tmp_path / 'out.mp4', crf=4)
    assert difference(pictures_of(tmp_path / 'out.mp4')[1], np.rot90(clip, turns, (1, 2))) < 8
    with av.open(str(tmp_path / 'out.mp4')) as container:
        aspect = container.streams.video[0].sample_aspect_ratio
        assert aspect == (Fraction(3, 4) if turns % 2 else Fraction(4, 3))
        assert next(container.decode(video=0)).rotation == 0


# Range, matrix, primaries and transfer in the numbers of H.273.
@pytest.mark.parametrize('colours', [(1, 1, 1, 1), (2, 1, 1, 1), (1, 6, 6, 6), (1, 9, 9, 16)])
def test_colours(tmp_path, colours):
    clip = moving_clip(3, 32, 32)
    movie = write_movie(
        tmp_path / 'in.mkv', clip, colours=colours, pix_fmt='yuv444p', options={'crf': '1'}
    )
    run(movie, tmp_path / 'out.mkv', crf=1)

    def planes(path):
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            tags = (frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc)
            return tags, frame.to_ndarray(format='yuv444p')

    (tags, before), (new_tags, after) = planes(tmp_path / 'in.mkv'), planes(tmp_path / 'out.mkv')
    assert tuple(map(int, new_tags)) == tuple(map(int, tags)) == colours
    # The very samples come back, so nothing was taken for another range or matrix on the way.
    assert difference(after, before) < 1.5


def test_ten_bits(tmp_path):
    ramp = np.linspace(0, 65535, 72 * 72).reshape(72, 72).astype(np.uint16)
    clip = np.stack([np.repeat(ramp[..., None], 3, 2)] * 3)
    movie = write_movie(tmp_path / 'in.mkv', clip, pix_fmt='yuv420p10le', options={'crf': '1'})
    summary = run(movie, tmp_path / 'out.mkv', crf=1)
    assert summary.encoder == 'libx265, yuv420p10le'
    with av.open(str(tmp_path / 'out.mkv')) as container:
        frame = next(container.decode(video=0))
    luma = frame.to_ndarray()[:72]
    assert len(np.unique(luma)) > 700
    with av.open(str(movie)) as container:
        before = next(container.decode(video=0)).to_ndarray()[:72]
    assert np.abs(luma.astype(int) - before).mean() < 2


def test_grey_stays_grey(tmp_path):
    movie = write_movie(tmp_path / 'in.mkv', moving_clip(3, 24, 32), codec='ffv1', pix_fmt='gray')
    assert run(movie, tmp_path / 'out.mkv').encoder == 'libx264, gray'


@pytest.mark.parametrize('size', [(1, 1), (17, 33)])
@pytest.mark.parametrize('length', [1, 2])
def test_odd_sizes_and_short_videos(tmp_path, size, length):
    clip = moving_clip(length, *size)
    movie = write_movie(tmp_path / 'in.mkv', clip, codec='ffv1', pix_fmt='bgr0')
    run(movie, tmp_path / 'out.mp4', crf=1)
    frames = pictures_of(tmp_path / 'out.mp4')[1]
    assert frames.shape == clip.shape
    assert difference(frames, clip) < 8


def test_alpha(tmp_path):
    """Opaque is fine; what shines through is refused."""
    for name, alpha in (('opaque', 255), ('clear', 100)):
        with av.open(str(tmp_path / f'{name}.mkv'), 'w') as container:
            video = container.add_stream('ffv1', rate=25)
            video.width, video.height, video.pix_fmt = 32, 24, 'bgra'
            rgba = np.concatenate([moving_clip(1, 24, 32)[0], np.full((24, 32, 1), alpha)], 2)
            frame = av.VideoFrame.from_ndarray(rgba.astype(np.uint8), format='rgba')
            container.mux(video.encode(frame.reformat(format='bgra')))
            container.mux(video.encode())
    assert run(tmp_path / 'opaque.mkv', tmp_path / 'out.mkv').frames == 1
    with pytest.raises(DataError, match=r'clear.mkv is partly transparent'):
        run(tmp_path / 'clear.mkv', tmp_path / 'out2.mkv')


def test_interlaced_is_refused(tmp_path):
    movie = write_movie(
        tmp_path / 'in.mkv', moving_clip(3, 32, 32), options={'x264-params': 'tff=1'}
    )
    with pytest.raises(DataError, match=r'in.mkv is interlaced.*ffmpeg'):
        run(movie, tmp_path / 'out.mkv')
    assert not list(tmp_path.glob('out*'))


def test_frame_folder_to_frame_folder(tmp_path):
    clip = moving_clip(14, 64, 64)
    write_frames(tmp_path / 'in', clip, start=7)
    run(tmp_path / 'in', tmp_path / 'out', Neighbours(reach=1), segment=4)
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert names == [f'{i:08d}.png' for i in range(7, 21)]
    direct = list(restorer_of(Neighbours(reach=1)).restore(clip))
    for name, frame in zip(names, direct, strict=True):
        assert np.array_equal(cv2.imread(str(tmp_path / 'out' / name))[..., ::-1], frame)


def test_sixteen_bit_frames_stay_sixteen_bit(tmp_path):
    image = np.random.default_rng(0).integers(0, 65536, (8, 9, 3)).astype(np.uint16)
    (tmp_path / 'in').mkdir()
    cv2.imwrite(str(tmp_path / 'in' / 'a1.png'), image)
    run(tmp_path / 'in', tmp_path / 'out')
    written = cv2.imread(str(tmp_path / 'out' / 'a1.png'), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(written, image)


def test_glob_and_frame_rate(tmp_path):
    write_frames(tmp_path / 'in', moving_clip(12, 24, 32))
    rate = Fraction(30000, 1001)
    run(tmp_path / 'in' / '0000000[2-5].png', tmp_path / 'out.mp4', rate=rate)
    times, frames = pictures_of(tmp_path / 'out.mp4')
    assert len(frames) == 4
    assert times == [round(i / float(rate), 3) for i in range(4)]


def test_raw_yuv(tmp_path):
    clip = moving_clip(5, 24, 32)
    planes = [cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420) for frame in clip]
    np.stack(planes).tofile(tmp_path / 'walk_32x24.yuv')
    run(tmp_path / 'walk_32x24.yuv', tmp_path / 'out.mp4', crf=1)
    assert difference(pictures_of(tmp_path / 'out.mp4')[1], clip) < 8
    os.rename(tmp_path / 'walk_32x24.yuv', tmp_path / 'walk.yuv')
    run(tmp_path / 'walk.yuv', tmp_path / 'out2.mp4', crf=1, yuv_size=(32, 24))
    with pytest.raises(DataError, match='yuv_size'):
        run(tmp_path / 'walk.yuv', tmp_path / 'out3.mp4')


@pytest.mark.parametrize('mode', ['side', 'split'])
def test_comparison(tmp_path, mode):
    class Dark(nn.Module):
        def forward(self, x):
            return torch.zeros_like(x)

    clip = moving_clip(3, 24, 32)
    movie = write_movie(tmp_path / 'in.mkv', clip, options={'crf': '1'})
    compare = str(tmp_path / 'cmp.mkv')
    summary = run(movie, tmp_path / 'out.mkv', Dark(), crf=1, compare=compare, compare_mode=mode)
    assert summary.outputs == [str(tmp_path / 'out.mkv'), compare]
    frames = pictures_of(tmp_path / 'cmp.mkv')[1]
    half = 32 if mode == 'side' else 16
    assert frames.shape[2] == 2 * half
    # Chroma is shared by two pixels across the border.
    assert difference(frames[:, :, : half - 2], clip[:, :, : half - 2]) < 8
    assert frames[:, :, half + 2 :].max() < 20


def test_truncated_video_gives_its_good_part(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (75, 32, 32, 3)).astype(np.uint8)
    movie = write_movie(tmp_path / 'in.mkv', noise, sound=True)
    data = movie.read_bytes()
    movie.write_bytes(data[: len(data) * 2 // 3])
    summary = run(movie, tmp_path / 'out.mkv')
    assert 30 < summary.frames < 60
    assert 'in.mkv' in summary.damage
    assert 'only the good part' in str(summary)
    times, _ = pictures_of(tmp_path / 'out.mkv')
    assert len(times) == summary.frames
    assert packets_of(tmp_path / 'out.mkv', 'audio')[-1][0] <= times[-1] + 0.04


def test_damaged_pictures_are_concealed_and_told(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3)).astype(np.uint8)
    movie = write_movie(tmp_path / 'in.mp4', noise)
    data = bytearray(movie.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = os.urandom(3000)
    movie.write_bytes(data)
    summary = run(movie, tmp_path / 'out.mp4')
    assert summary.frames == 30
    assert 'in.mp4: ' in f'{summary.damage} {summary.notes}'


def test_no_video(tmp_path):
    with av.open(str(tmp_path / 'sound.m4a'), 'w') as container:
        audio = container.add_stream('aac', rate=16000, layout='mono')
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), 's16', 'mono')
        silence.sample_rate = 16000
        container.mux(audio.encode(silence))
        container.mux(audio.encode())
    (tmp_path / 'text.mp4').write_text('no video')
    (tmp_path / 'empty.mp4').touch()
    for name in ('sound.m4a', 'text.mp4', 'empty.mp4', 'missing.mp4'):
        with pytest.raises(DataError, match=name):
            run(tmp_path / name, tmp_path / 'out.mp4')
    assert not list(tmp_path.glob('out*'))


def test_unknown_codec(tmp_path):
    """A video that says it is of a codec that nobody here can decode."""
    movie = write_movie(tmp_path / 'in.mkv', moving_clip(3, 24, 32))
    data = movie.read_bytes()
    assert data.count(b'V_MPEG4/ISO/AVC') == 1
    movie.write_bytes(data.replace(b'V_MPEG4/ISO/AVC', b'V_MPEG4/ISO/XYZ'))
    with pytest.raises(DataError, match=r'in\.mkv holds no video that can be decoded'):
        run(movie, tmp_path / 'out.mkv')


@pytest.mark.parametrize(
    ('options', 'name', 'message'),
    [
        (dict(codec='libx246'), 'out.mp4', "no video encoder 'libx246' here. Did you mean libx265"),
        (dict(codec='libx264', pix_fmt='rgb24'), 'out.mp4', "libx264 does not take 'rgb24'"),
        (dict(codec='libx265'), 'out.mp4', 'libx265 needs frames of at least 65'),
        (dict(codec='ffv1'), 'out.webm', 'webm'),
        (dict(), 'out.ts', r'ts files do not hold subrip.*\.mkv file.*--without subtitle'),
        (dict(), 'out.xyz', r'xyz files are not written.*\.mp4'),
    ],
)
def test_what_the_output_cannot_hold_is_said_at_once(movie, tmp_path, options, name, message):
    with pytest.raises(EncodingError, match=message):
        run(movie, tmp_path / name, **options)
    assert [path.name for path in tmp_path.iterdir()] == ['in.mkv']


def test_streams_can_be_left_out(movie, tmp_path):
    run(movie, tmp_path / 'out.mp4', without=('subtitle',))
    with av.open(str(tmp_path / 'out.mp4')) as container:
        assert [stream.type for stream in container.streams] == ['video', 'audio']


def test_an_error_of_the_decoder_ends_all(movie, tmp_path, monkeypatch):
    real = pipeline.open_reader

    def broken(*args):
        source = real(*args)
        pictures = source.iterate

        def fail(start, stop):
            for index, picture in enumerate(pictures(start, stop)):
                if index == 9:
                    raise DataError('in.mkv: boom')
                yield picture

        source.iterate = fail
        return source

    monkeypatch.setattr(pipeline, 'open_reader', broken)
    with pytest.raises(DataError, match='boom'):
        run(movie, tmp_path / 'out.mkv', segment=4)
    assert not [t for t in threading.enumerate() if t.name.startswith('restore')]


def test_decoding_times_rise_and_never_come_late():
    shown = [0, 90, 30, 10, 80, 190, 160, 110, 170, 1000, 600, 400]
    times = decoding_times(shown)
    assert all(b > a for a, b in pairwise(times))
    assert all(decoded <= pts for decoded, pts in zip(times, shown, strict=True))
    assert decoding_times([5, 6, 9]) == [5, 6, 9]
