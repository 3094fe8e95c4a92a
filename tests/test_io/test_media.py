# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
from fractions import Fraction
from types import SimpleNamespace

import av
import pytest
from helpers.clips import moving_clip
from helpers.outputs import rewrite
from helpers.videos import write_movie

from s2svr_mm.io.media import media_url, plausible_rate, stated_rate
from s2svr_mm.io.packet_log import read_timeline
from s2svr_mm.io.video import VideoReader


@pytest.mark.parametrize(
    ('average', 'guessed', 'base', 'expected'),
    [
        (Fraction(30000, 1001), 25, 25, Fraction(30000, 1001)),
        (Fraction(90000), Fraction(50), None, 50),
        (None, Fraction(1, 5000), Fraction(90000), 25),
        (None, None, None, 25),
    ],
)
def test_a_rate_that_no_video_has_is_passed_over(average, guessed, base, expected):
    stream = SimpleNamespace(average_rate=average, guessed_rate=guessed, base_rate=base)
    assert stated_rate(stream) == expected


def test_a_measured_rate_is_brought_into_range():
    assert plausible_rate(Fraction(10**6)) == 1000
    assert plausible_rate(Fraction(1, 10**6)) == Fraction(1, 1000)
    assert plausible_rate(Fraction(24000, 1001)) == Fraction(24000, 1001)


def test_media_url():
    assert media_url('http:x.mp4') == 'file:http:x.mp4'


def test_tags_that_are_not_utf_8(tmp_path):
    """All that opens the source gets by them, and the output can be read."""
    path = write_movie(tmp_path / 'a.mkv', moving_clip(6, 48, 64), sound=True)
    titled = tmp_path / 'titled.mkv'
    with av.open(str(path)) as source, av.open(str(titled), 'w') as target:
        target.metadata['title'] = 'Café'
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    data = titled.read_bytes()
    assert data.count('Café'.encode()) == 1
    titled.write_bytes(data.replace('Café'.encode(), b'Caf\xe9 '))
    assert len(VideoReader(str(titled))) == 6
    output = tmp_path / 'out.mkv'
    assert rewrite(titled, output) == []
    with av.open(str(output)) as container:
        assert container.metadata['title'].startswith('Caf')
        assert [stream.type for stream in container.streams] == ['video', 'audio']


def test_times_of_frames_where_packets_are_more(tmp_path):
    """The last two packets are no frames; the sound keeps its place by the video's clock."""
    path = write_movie(tmp_path / 'a.mkv', moving_clip(16, 48, 64), sound=True)
    stamps = VideoReader(str(path)).stamps[:-2]
    assert [stamp.pts for stamp in stamps] == [40 * i for i in range(14)]
    assert {stamp.dts for stamp in stamps} == {None}
    timeline, whole = read_timeline(str(path), stamps), read_timeline(str(path))
    assert timeline.times == whole.times[:-2]
    assert timeline.base == whole.base == Fraction(1, 1000)
    assert timeline.copied == whole.copied


def test_a_cover_that_is_not_marked_as_one_is_passed_over(tmp_path):
    path = write_movie(tmp_path / 'a.mkv', moving_clip(6, 48, 64), sound=True)
    covered = tmp_path / 'covered.mkv'
    with av.open(str(path)) as source, av.open(str(covered), 'w') as target:
        cover = target.add_stream('mjpeg', rate=25)
        cover.width, cover.height, cover.pix_fmt = 80, 80, 'yuvj420p'
        streams = [target.add_stream_from_template(stream) for stream in source.streams]
        target.mux(cover.encode(av.VideoFrame(80, 80, 'yuvj420p')))
        target.mux(cover.encode())
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    reader = VideoReader(str(covered))
    assert len(reader) == 6
    assert (reader.info.width, reader.info.height) == (64, 48)
    assert len(read_timeline(str(covered), reader.stamps).times) == 6
    assert rewrite(covered, tmp_path / 'out.mkv') == [
        'not in the output: stream 0 (video, mjpeg)',
    ]
