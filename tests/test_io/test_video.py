# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
import pickle
import struct
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.fuzzing import write_clip
from helpers.videos import (
    break_packet,
    copy_packets,
    decode_all,
    set_display_matrix,
    write_movie,
    write_video,
)

from s2svr_mm.errors import DataError
from s2svr_mm.io import video, video_index
from s2svr_mm.io.color import color_of, to_rgb
from s2svr_mm.io.reader import FrameSizeError
from s2svr_mm.io.video import VideoReader

OPEN_GOP = {'x264-params': 'open-gop=1:bframes=3:keyint=6:b-pyramid=2'}
HEVC = {'x265-params': 'log-level=none:keyint=6:bframes=3'}
FINE = {'bf': '0', 'qmin': '1', 'qmax': '1', 'sc_threshold': '1000000000'}
TS_PACKET = 188


def rgb_of(frames):
    return [to_rgb(frame, color_of(frame)) for frame in frames]


def check_any_frame(path, expected, draws=12):
    """Frames in a row and by number are those of a full decode."""
    reader = VideoReader(str(path))
    assert len(reader) == len(expected)
    row = list(reader.iterate())
    assert [frame.index for frame in row] == list(range(len(expected)))
    for frame, wanted in zip(row, expected, strict=True):
        np.testing.assert_array_equal(frame.rgb, wanted)
    rng = np.random.default_rng(0)
    last = len(expected) - 1
    drawn = rng.integers(0, last + 1, (draws, 4)).tolist()
    for indices in [[0], [last], [last // 2, last // 2 + 1], *drawn]:
        for index, frame in zip(indices, reader.read(indices), strict=True):
            np.testing.assert_array_equal(frame.rgb, expected[index])
    for start in (last // 3, last):
        frame = next(reader.iterate(start))
        assert frame.index == start
        np.testing.assert_array_equal(frame.rgb, expected[start])
    return reader


@pytest.mark.parametrize(
    ('name', 'codec', 'options'),
    [
        ('b_frames.mp4', 'libx264', {'bf': '3'}),
        ('open_gop.mp4', 'libx264', OPEN_GOP),
        ('open_gop.ts', 'libx264', OPEN_GOP),
        ('bit_by_bit.mp4', 'libx264', {'x264-params': 'intra-refresh=1:keyint=6:bframes=0'}),
        ('open_gop.mkv', 'libx265', HEVC),
        ('bare.hevc', 'libx265', HEVC),
        ('vp8.webm', 'libvpx', {'auto-alt-ref': '1', 'lag-in-frames': '8'}),
        ('vp9.webm', 'libvpx-vp9', {'cpu-used': '8', 'lag-in-frames': '8'}),
        ('av1.mkv', 'libsvtav1', {'preset': '12'}),
        ('old.avi', 'mpeg4', {'bf': '2'}),
        ('disc.mpg', 'mpeg2video', {'bf': '2'}),
        ('tv.ts', 'mpeg2video', {'bf': '2'}),
        ('bare.h264', 'libx264', {'bf': '2'}),
    ],
)
def test_any_frame_is_the_one_of_a_full_decode(tmp_path, name, codec, options):
    path = write_video(tmp_path / name, moving_clip(20, 72, 96), codec, options)
    frames = decode_all(path)
    assert len(frames) == 20
    reader = check_any_frame(path, rgb_of(frames))
    assert reader.damage is None
    assert reader.notes == []
    if 'bare' not in name:
        assert reader.times == [frame.pts for frame in frames]


@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv', 'a.ts', 'a.avi', 'a.h264'])
@pytest.mark.parametrize('codec', ['libx264', 'mpeg4'])
def test_no_more_than_a_group_of_pictures_is_decoded_before_a_frame(
    tmp_path, monkeypatch, name, codec
):
    if (codec, name) == ('mpeg4', 'a.h264'):
        name = 'a.mpg'
        codec = 'mpeg1video'
    path = write_video(tmp_path / name, moving_clip(60, 32, 48), codec, {'bf': '2'})
    fed = []
    real = video.decode

    def counting(codec, packets):
        return real(codec, (fed.append(packet) or (number, packet) for number, packet in packets))

    monkeypatch.setattr(video, 'decode', counting)
    reader = VideoReader(str(path))
    for index in (58, 30, 3):
        fed.clear()
        next(reader.iterate(index))
        # Groups have 4 frames; what the decoder holds back comes to it.
        assert len(fed) <= 10


def test_variable_frame_rate_gives_every_frame_once(tmp_path):
    times = [0, 1, 5, 6, 30, 31, 32, 100]
    path = write_video(tmp_path / 'a.mp4', moving_clip(8, 32, 32), times=times)
    reader = check_any_frame(path, rgb_of(decode_all(path)))
    frames = list(reader.iterate())
    seconds = [float(frame.time * reader.info.time_base) for frame in frames]
    assert seconds == pytest.approx([time / 25 for time in times])
    for first, second in pairwise(frames):
        assert first.duration == second.time - first.time


def test_trimmed_video_starts_where_players_start(tmp_path):
    path = write_video(tmp_path / 'whole.mp4', moving_clip(12, 64, 64))
    trimmed = copy_packets(path, tmp_path / 'trimmed.mp4', earlier=3 * 512)
    check_any_frame(trimmed, rgb_of(decode_all(path))[3:])


@pytest.mark.parametrize(
    ('suffix', 'codec', 'options', 'skip'),
    [
        ('.ts', 'libx264', OPEN_GOP, 'to a keyframe'),
        ('.mkv', 'libx265', HEVC, 'to a keyframe'),
        ('.mpg', 'mpeg2video', {'bf': '2'}, 'to a keyframe'),
        ('.ts', 'libx264', {'bf': '2'}, 'to anywhere'),
    ],
)
def test_a_cut_through_an_open_group_of_pictures(tmp_path, suffix, codec, options, skip):
    whole = write_video(tmp_path / f'whole{suffix}', moving_clip(24, 64, 64), codec, options)
    with av.open(str(whole)) as container:
        keys = [p.is_keyframe for p in container.demux(video=0) if p.size]
    first = keys.index(True, 1) if skip == 'to a keyframe' else 2
    path = copy_packets(whole, tmp_path / f'cut{suffix}', skip=first)
    expected = rgb_of(decode_all(path))
    assert 0 < len(expected) < 24 - first
    reader = check_any_frame(path, expected)
    assert reader.damage is None
    assert 'at its start need others' in reader.notes[0]


def test_a_clock_that_falls(tmp_path):
    """Two recordings joined."""
    clip = moving_clip(24, 64, 64)
    parts = [
        write_video(tmp_path / f'{i}.ts', frames, options={'bf': '2'})
        for i, frames in enumerate((clip[:12], clip[12:]))
    ]
    path = tmp_path / 'joined.ts'
    path.write_bytes(b''.join(part.read_bytes() for part in parts))
    frames = decode_all(path)
    assert len(frames) == 24
    reader = check_any_frame(path, rgb_of(frames))
    assert reader.damage is None
    assert reader.times[12] < reader.times[11]


# a b c d of the display matrix, and what is seen.
ORIENTATIONS = [
    ((1, 0, 0, 1), lambda f: f),
    ((-1, 0, 0, 1), lambda f: f[:, :, ::-1]),
    ((1, 0, 0, -1), lambda f: f[:, ::-1]),
    ((-1, 0, 0, -1), lambda f: np.rot90(f, 2, (1, 2))),
    ((0, 1, 1, 0), lambda f: f.transpose(0, 2, 1, 3)),
    ((0, -1, -1, 0), lambda f: f[:, ::-1, ::-1].transpose(0, 2, 1, 3)),
    ((0, 1, -1, 0), lambda f: np.rot90(f, -1, (1, 2))),
    ((0, -1, 1, 0), lambda f: np.rot90(f, 1, (1, 2))),
    ((2, 0, 0, 2), lambda f: f),
]


@pytest.mark.parametrize(('matrix', 'seen'), ORIENTATIONS)
def test_all_orientations(tmp_path, matrix, seen):
    clip = moving_clip(3, 32, 48)
    path = write_video(tmp_path / 'a.mp4', clip, options={'crf': '2'})
    set_display_matrix(path, *matrix)
    reader = VideoReader(str(path))
    frames = np.stack([frame.rgb for frame in reader.iterate()])
    assert (reader.info.height, reader.info.width) == frames.shape[1:3] == seen(clip).shape[1:3]
    assert np.abs(frames.astype(int) - seen(clip)).mean() < 6
    assert reader.notes == []


@pytest.mark.parametrize('rotation', [90, 180, -90])
def test_a_phone_s_video_is_turned_as_opencv_turns_it(tmp_path, rotation):
    path = write_video(tmp_path / 'a.mp4', moving_clip(3, 32, 48), rotation=rotation)
    (frame,) = VideoReader(str(path)).read([1])
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    capture.read()
    upright = capture.read()[1][..., ::-1]
    assert frame.rgb.shape == upright.shape
    assert np.abs(frame.rgb.astype(int) - upright).mean() < 6


@pytest.mark.parametrize('matrix', [(0, 0, 0, 0), (0.7, 0.7, -0.7, 0.7), (1, 0, 0, 0)])
def test_a_display_matrix_that_makes_no_sense_is_ignored_with_a_note(tmp_path, matrix):
    clip = moving_clip(3, 32, 48)
    path = write_video(tmp_path / 'a.mp4', clip, options={'crf': '2'})
    set_display_matrix(path, *matrix)
    reader = VideoReader(str(path))
    assert np.abs(reader.read([0])[0].rgb.astype(int) - clip[0]).mean() < 6
    assert len(reader.notes) == 1
    assert all('no rotation or flip' in note for note in reader.notes)


def noise(num_frames):
    return np.random.default_rng(0).integers(0, 256, (num_frames, 64, 64, 3), np.uint8)


class TestDamage:
    def test_it_is_measured_concealed_and_passed(self, tmp_path):
        """Groups of 4: frame 5 is broken, 6 and 7 are predicted from it, all else is whole."""
        path = write_video(tmp_path / 'a.mp4', moving_clip(12, 64, 64), 'mpeg4', FINE)
        whole = [frame.rgb for frame in VideoReader(str(path)).iterate()]
        break_packet(path, 5)
        reader = VideoReader(str(path))
        assert reader.damage is None  # only decoding shows it
        frames = [frame.rgb for frame in reader.iterate()]
        assert len(frames) == 12
        for index in (*range(5), *range(8, 12)):
            np.testing.assert_array_equal(frames[index], whole[index])
        assert (frames[5] != whole[5]).any()
        assert reader.damage.concealed == (5,)
        assert reader.damage.dependent == (6, 7)
        assert not reader.damage.is_incomplete
        assert '1 frame damaged and concealed (5), 2 frames predicted from such (6-7)' in str(
            reader.damage
        )
        assert VideoReader(str(path)).read([9])[0].rgb.tobytes() == whole[9].tobytes()

    def test_strict_refuses_it(self, tmp_path):
        path = write_video(tmp_path / 'a.mp4', moving_clip(12, 64, 64), 'mpeg4', FINE)
        break_packet(path, 5)
        reader = VideoReader(str(path), strict=True)
        assert len(reader.read([0, 4])) == 2
        with pytest.raises(DataError, match=r'a\.mp4: frame 5 is damaged'):
            list(reader.iterate())

    @pytest.mark.parametrize('codec', ['libx264', 'mpeg4'])
    def test_where_no_picture_is_left_the_one_before_stands_in(self, tmp_path, codec):
        path = write_video(tmp_path / 'a.mp4', noise(12), codec, {'bf': '0'})
        with av.open(str(path)) as container:
            packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
        position, size = packets[5]
        data = bytearray(path.read_bytes())
        data[position : position + size] = bytes(size)
        path.write_bytes(data)
        expected = len(decode_all(path))
        reader = VideoReader(str(path))
        frames = list(reader.iterate())
        assert len(frames) == 12
        if expected == 11:
            assert reader.damage.missing == (5,)
            np.testing.assert_array_equal(frames[5].rgb, frames[4].rgb)
            again = VideoReader(str(path))
            np.testing.assert_array_equal(again.read([5])[0].rgb, frames[4].rgb)
            assert again.damage.is_incomplete

    def test_lost_packets_of_the_video_in_a_transport_stream(self, tmp_path):
        path = write_movie(tmp_path / 'a.ts', moving_clip(50, 72, 96), sound=True)
        data = path.read_bytes()
        places = [
            place
            for place in range(0, len(data), TS_PACKET)
            if (data[place + 1] & 31) << 8 | data[place + 2] == 0x100
        ]
        place = places[len(places) // 2]
        path.write_bytes(data[:place] + data[place + TS_PACKET :])
        expected = len(decode_all(path))
        reader = VideoReader(str(path))
        frames = list(reader.iterate())
        assert len(frames) == len(reader) == expected >= 48
        assert reader.damage.concealed
        assert not reader.damage.is_incomplete
        behind = list(VideoReader(str(path)).iterate(40))
        for one, other in zip(behind, frames[40:], strict=True):
            np.testing.assert_array_equal(one.rgb, other.rgb)

    def test_a_damaged_packet_of_sound_is_no_damage_of_the_video(self, tmp_path):
        path = write_movie(tmp_path / 'a.ts', moving_clip(25, 72, 96), sound=True)
        data = bytearray(path.read_bytes())
        audio = [
            place
            for place in range(0, len(data), TS_PACKET)
            if (data[place + 1] & 31) << 8 | data[place + 2] == 0x101
        ]
        data[audio[len(audio) // 2] + 3] ^= 5
        path.write_bytes(data)
        reader = VideoReader(str(path))
        assert len(list(reader.iterate())) == 25
        assert reader.damage is None

    def test_a_malformed_message_beside_the_pictures(self, tmp_path):
        path = write_video(tmp_path / 'a.h264', moving_clip(12, 64, 64))
        sei = b'\0\0\1\6\5\xff\xff\x10' + b'\xaa' * 16 + b'\x80'
        path.write_bytes(path.read_bytes().replace(b'\0\0\1\x65', sei + b'\0\0\1\x65'))
        reader = check_any_frame(path, rgb_of(decode_all(path)))
        assert len(reader) == 12
        assert reader.damage is None

    @pytest.mark.parametrize(
        ('name', 'codec'), [('a.mkv', 'libx264'), ('a.webm', 'libvpx-vp9'), ('a.avi', 'mpeg4')]
    )
    def test_a_file_that_is_cut_off(self, tmp_path, name, codec):
        path = write_video(tmp_path / name, noise(30), codec)
        assert len(VideoReader(str(path))) == 30
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        expected = len(decode_all(path))
        reader = VideoReader(str(path))
        # The last picture may be there in part.
        assert 5 < expected <= len(list(reader.iterate())) <= expected + 1 < 30
        assert reader.damage.is_incomplete
        assert 'cut off' in str(reader.damage)
        with pytest.raises(DataError, match=rf'{name} is damaged.*cut off'):
            VideoReader(str(path), strict=True)

    @pytest.mark.parametrize('missing', [1, 4600])
    def test_raw_frames_of_which_the_last_is_cut_off(self, tmp_path, missing):
        path = write_clip('y4m', tmp_path)
        assert VideoReader(str(path)).damage is None
        path.write_bytes(path.read_bytes()[:-missing])
        reader = VideoReader(str(path))
        assert len(reader) == 15
        assert 'its last frame is not whole' in str(reader.damage)

    def test_a_file_that_is_cut_off_behind_its_index(self, tmp_path):
        path = tmp_path / 'a.mp4'
        with av.open(str(path), 'w', options={'movflags': 'faststart'}) as container:
            stream = container.add_stream('libx264', rate=25)
            stream.height = stream.width = 64
            for frame in noise(12):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
            container.mux(stream.encode())
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 3 // 4])
        reader = VideoReader(str(path))
        assert len(list(reader.iterate())) - len(decode_all(path)) in (0, 1)
        assert 'the file is cut off: its last' in str(reader.damage)

    def test_a_file_that_is_cut_off_before_its_index(self, tmp_path):
        path = write_video(tmp_path / 'a.mp4', noise(12))
        path.write_bytes(path.read_bytes()[:4000])
        with pytest.raises(DataError, match=r'a\.mp4.*cut off'):
            VideoReader(str(path))

    def test_a_header_that_is_longer_than_its_frames(self, tmp_path):
        path = write_video(tmp_path / 'a.mkv', moving_clip(25, 32, 32))
        data = bytearray(path.read_bytes())
        place = data.index(b'\x44\x89\x88') + 3
        data[place : place + 8] = struct.pack('>d', 60_000.0)
        path.write_bytes(data)
        reader = check_any_frame(path, rgb_of(decode_all(path)), draws=2)
        assert reader.damage is None
        assert reader.notes == [f'{path} says that it lasts 60.00 s; its frames last 0.96 s']


def test_a_file_that_is_replaced_is_read_anew(tmp_path):
    path = write_video(tmp_path / 'a.mp4', moving_clip(6, 32, 32))
    reader = VideoReader(str(path))
    assert len(reader) == 6
    write_video(path, moving_clip(9, 32, 32, seed=3))
    assert len(reader) == len(VideoReader(str(path))) == 9
    np.testing.assert_array_equal(reader.read([8])[0].rgb, rgb_of(decode_all(path))[8])


def test_what_is_known_of_files_is_bounded():
    assert video_index._index_video.cache_info().maxsize == 256


def test_the_fingerprint_is_of_the_content(tmp_path):
    path = write_video(tmp_path / 'a.mp4', moving_clip(12, 64, 64), 'mpeg4', FINE)
    whole, parts = VideoReader(str(path)).fingerprint(), (slice(0, 4), slice(4, 8), slice(8, 12))
    before = [VideoReader(str(path)).fingerprint(p.start, p.stop) for p in parts]
    moved = tmp_path / 'b.mp4'
    os.replace(path, moved)
    os.utime(moved, (1, 1))
    assert VideoReader(str(moved)).fingerprint() == whole
    break_packet(moved, 5)
    after = [VideoReader(str(moved)).fingerprint(p.start, p.stop) for p in parts]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
    assert VideoReader(str(moved)).fingerprint() != whole


def test_a_size_that_changes_on_the_way(tmp_path):
    first = write_video(tmp_path / 'a.h264', moving_clip(8, 64, 64))
    second = write_video(tmp_path / 'b.h264', moving_clip(8, 72, 96))
    path = tmp_path / 'ab.h264'
    path.write_bytes(first.read_bytes() + second.read_bytes())
    reader = VideoReader(str(path))
    frames = []
    with pytest.raises(FrameSizeError, match=r'8 is 96x72, but the first one is 64x64') as error:
        frames.extend(reader.iterate())
    assert len(frames) == 8
    assert (error.value.index, error.value.size, error.value.expected) == (8, (72, 96), (64, 64))
    assert pickle.loads(pickle.dumps(error.value)).index == 8
    assert len(list(reader.iterate(0, 8))) == 8
    behind = list(reader.iterate(8))
    assert [frame.rgb.shape for frame in behind] == [(72, 96, 3)] * 8
    assert (reader.info_at(8).height, reader.info_at(8).width) == (72, 96)


def test_cover_pictures_are_passed_over_wherever_they_stand(tmp_path):
    clip = moving_clip(4, 32, 48)
    ok, cover = cv2.imencode('.png', np.zeros((16, 16, 3), np.uint8))
    assert ok
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w') as container:
        picture = container.add_stream('png', rate=1)
        picture.height = picture.width = 16
        picture.pix_fmt = 'rgb24'
        picture.disposition = av.stream.Disposition.attached_pic
        stream = container.add_stream('libx264', rate=25)
        stream.height, stream.width = 32, 48
        packet = av.Packet(cover.tobytes())
        packet.stream, packet.pts, packet.dts = picture, 0, 0
        container.mux(packet)
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        streams = [(s.width, bool(s.disposition & 1024)) for s in container.streams.video]
    reader = VideoReader(str(path))
    assert len(streams) == 2
    assert (len(reader), reader.info.width) == (4, 48)


@pytest.mark.parametrize(
    'name',
    [
        '12:30.mp4',
        'http:x.mp4',
        'file:y.mp4',
        'a,b.mp4',
        '[1]%03d *?.mp4',
        'ca\udce9.mp4',
        '#1.MP4',
    ],
)
def test_names(tmp_path, name):
    clip = write_video(tmp_path / 'plain.mp4', moving_clip(3, 32, 32))
    os.replace(clip, tmp_path / name)
    old = os.getcwd()
    os.chdir(tmp_path)
    try:
        assert len(list(VideoReader(name).iterate())) == 3
    finally:
        os.chdir(old)


def test_a_frame_too_many(tmp_path):
    path = write_video(tmp_path / 'a.mp4', moving_clip(3, 32, 32))
    with pytest.raises(DataError, match='has 3 frames; 3 was asked for'):
        VideoReader(str(path)).read([3])


def test_sound_alone(tmp_path):
    with av.open(str(tmp_path / 'a.mp4'), 'w') as container:
        stream = container.add_stream('aac', rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DataError, match=r'a\.mp4 holds no video'):
        VideoReader(str(tmp_path / 'a.mp4'))


def test_interlaced_frames_are_refused(tmp_path):
    path = write_video(tmp_path / 'a.mkv', moving_clip(3, 32, 32), options={'x264-params': 'tff=1'})
    with pytest.raises(DataError, match=r'a\.mkv is interlaced.*ffmpeg'):
        VideoReader(str(path)).read([0])
    header = b'YUV4MPEG2 W32 H32 F25:1 It A1:1 C420jpeg\n'
    (tmp_path / 'a.y4m').write_bytes(header + (b'FRAME\n' + bytes(1536)) * 3)
    with pytest.raises(DataError, match=r'a\.y4m is interlaced'):
        VideoReader(str(tmp_path / 'a.y4m')).read([0])


@pytest.mark.parametrize('codec', ['libvpx', 'libvpx-vp9', 'ffv1', 'qtrle', 'png'])
def test_transparency_is_refused_in_every_codec(tmp_path, codec):
    vp = codec.startswith('libvpx')
    pix_fmt = {'ffv1': 'bgra', 'qtrle': 'argb', 'png': 'rgba'}.get(codec, 'yuva420p')
    path = tmp_path / ('a.webm' if vp else 'a.mkv' if codec == 'ffv1' else 'a.mov')
    rgba = np.dstack([moving_clip(1, 32, 32)[0], np.full((32, 32), 100, np.uint8)])
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options={'auto-alt-ref': '0'} if vp else {})
        stream.height = stream.width = 32
        stream.pix_fmt = pix_fmt
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(rgba, format='rgba')
            container.mux(stream.encode(frame.reformat(format=pix_fmt)))
        container.mux(stream.encode())
    with pytest.raises(DataError, match='partly transparent'):
        VideoReader(str(path)).read([0])
