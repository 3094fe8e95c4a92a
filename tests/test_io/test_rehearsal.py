# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.outputs import rewrite
from helpers.videos import write_movie

from s2svr_mm.errors import EncodingError
from s2svr_mm.io.containers import CONTAINERS
from s2svr_mm.io.encoding import choose_encoder
from s2svr_mm.io.output_plan import SourceStreams
from s2svr_mm.io.packet_log import read_timeline
from s2svr_mm.io.reader import VideoInfo
from s2svr_mm.io.rehearsal import plan_output, streams_beside

INFO = VideoInfo(48, 64)


@pytest.mark.parametrize(
    'suffix',
    ['.h264', '.264', '.hevc', '.yuv', '.rgb', '.mpg', '.wmv', '.m3u8', '.mpd', '.gif', ''],
)
def test_names_that_hold_nothing_usable_are_refused(suffix):
    with pytest.raises(EncodingError, match=rf'{suffix} files are not written.*\.mp4 or \.mkv'):
        choose_encoder(INFO, suffix)


@pytest.mark.parametrize('suffix', CONTAINERS)
def test_every_container_is_written_by_default(suffix):
    plan = plan_output(suffix, choose_encoder(INFO, suffix))
    assert not plan.left_out
    assert plan_output(suffix.upper(), choose_encoder(INFO, suffix.upper())).suffix == suffix


@pytest.mark.parametrize(
    ('suffix', 'codec', 'fault'),
    [
        ('.webm', 'libx264', 'webm'),
        ('.ts', 'ffv1', 'holds 0 videos'),
        ('.mov', 'libvpx-vp9', 'Invalid argument'),
        ('.flv', 'av1', 'few players'),
        ('.avi', 'hevc', 'avi'),
    ],
)
def test_a_container_that_does_not_hold_a_codec_is_told_apart_from_the_encoder(
    suffix, codec, fault
):
    """With the name of one that does, found by trying it."""
    info = VideoInfo(96, 96)
    with pytest.raises(EncodingError, match=rf'\{suffix} files do not hold.*{fault}') as error:
        plan_output(suffix, choose_encoder(info, suffix, codec))
    assert 'cannot encode' not in str(error.value)
    assert 'write an .mkv file' in str(error.value)
    plan_output('.mkv', choose_encoder(info, '.mkv', codec))


def test_a_rate_alone_cannot_say_uneven_times(tmp_path):
    clip = moving_clip(12, 32, 32)
    uneven = write_movie(tmp_path / 'in.mkv', clip, times=[*range(0, 440, 40), 455])
    with pytest.raises(EncodingError, match=r'\.avi files hold frames of one duration.*\.mkv'):
        rewrite(uneven, tmp_path / 'out.avi')
    # Milliseconds are no unevenness.
    rounded = write_movie(
        tmp_path / '30.mkv', clip, times=[round(i * 1001 / 30) for i in range(12)]
    )
    rewrite(rounded, tmp_path / '30.avi')
    with av.open(str(tmp_path / '30.avi')) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
        assert [p.dts for p in container.demux(video=0) if p.size] == [*range(12)]


def plan(source, suffix, without=()):
    timeline = read_timeline(str(source))
    return plan_output(
        suffix, choose_encoder(INFO, suffix), SourceStreams(str(source), timeline, without)
    )


def sound_movie(path, *codecs):
    """A few frames, and a second of silence by each codec."""
    with av.open(str(path), 'w') as container:
        video = container.add_stream('mpeg4', rate=25)
        video.width, video.height = 64, 48
        streams = [
            container.add_stream(codec, rate=48000, layout='stereo', bit_rate=128_000)
            for codec in codecs
        ]
        for i, rgb in enumerate(moving_clip(5, 48, 64)):
            frame = av.VideoFrame.from_ndarray(rgb, format='rgb24')
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        for stream in streams:
            for start in range(0, 48000, 1152):
                silence = av.AudioFrame.from_ndarray(np.zeros((1, 2304), np.int16), 's16', 'stereo')
                silence.sample_rate, silence.pts = 48000, start
                silence.time_base = Fraction(1, 48000)
                container.mux(stream.encode(silence))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ('codec', 'suffix', 'encoder'),
    [
        ('aac', '.mp4', None),
        ('aac', '.ts', None),
        ('flac', '.ts', 'aac'),
        ('flac', '.mkv', None),
        ('flac', '.webm', 'libopus'),
        ('libopus', '.webm', None),
        ('libopus', '.avi', 'pcm_s16le'),
        ('pcm_s16le', '.mp4', 'aac'),
        ('pcm_s16le', '.mov', None),
        ('pcm_s16le', '.ts', 'aac'),
        ('ac3', '.flv', 'aac'),
        ('wmav2', '.mkv', 'flac'),
        ('adpcm_ima_wav', '.mkv', 'flac'),
        ('adpcm_ima_wav', '.mp4', 'aac'),
        ('mp2', '.mkv', None),
    ],
)
def test_sound_is_copied_where_it_is_found_again_and_else_converted(
    tmp_path, codec, suffix, encoder
):
    kind = {'wmav2': 'wmv', 'adpcm_ima_wav': 'avi', 'libopus': 'mkv'}.get(codec, 'nut')
    source = sound_movie(tmp_path / f'in.{kind}', codec)
    decided = plan(source, suffix)
    assert decided.copied == (() if encoder else (1,))
    assert decided.converted == ({1: encoder} if encoder else {})
    assert len(decided.notes) == (encoder is not None)
    assert not decided.left_out


def test_several_streams_of_sound(tmp_path):
    source = sound_movie(tmp_path / 'in.avi', 'aac', 'wmav2', 'ac3')
    assert plan(source, '.mkv').copied == (1, 3)
    assert plan(source, '.mkv').converted == {2: 'flac'}
    assert plan(source, '.mkv', without=('audio',)).copied == ()


def test_a_codec_that_is_not_known(tmp_path):
    content = sound_movie(tmp_path / 'in.mkv', 'aac').read_bytes()
    unknown = tmp_path / 'unknown.mkv'
    unknown.write_bytes(content.replace(b'A_AAC', b'A_XYZ'))
    with pytest.raises(EncodingError, match=r'unknown\.mkv stream 1 \(audio\) .*--without audio'):
        plan(unknown, '.mkv')
    assert not plan(unknown, '.mkv', without=('audio',)).copied


def test_what_no_container_of_that_kind_holds_is_named(tmp_path):
    movie = write_movie(tmp_path / 'in.mkv', moving_clip(8, 32, 32), subtitles=True)
    with pytest.raises(
        EncodingError,
        match=r'\.ts files do not hold subrip, the codec of .*in\.mkv stream 1 \(subtitle\): '
        r'write an \.mkv file, or leave it out with --without subtitle',
    ):
        plan(movie, '.ts')
    assert not plan(movie, '.ts', without=('subtitle',)).copied


def test_what_lies_beside_the_frames_is_named_where_it_is_left_out(tmp_path):
    movie = sound_movie(tmp_path / 'sound.mkv', 'aac')
    source = tmp_path / 'in.mkv'
    with av.open(str(movie)) as old, av.open(str(source), 'w') as new:
        copies = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        new.add_attachment('letters.ttf', 'font/ttf', b'letters')
        for packet in old.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                new.mux(packet)
    assert plan(source, '.mkv').attached == (2,)
    assert plan(source, '.mp4').left_out == ('stream 2 (attachment, letters.ttf)',)
    streams = SourceStreams(str(source), read_timeline(str(source)))
    assert streams_beside(streams) == [
        'not in the output: stream 1 (audio, aac)',
        'not in the output: stream 2 (attachment, letters.ttf)',
    ]
