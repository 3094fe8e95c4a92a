# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import av
import cv2
import numpy as np
import pytest
from helpers.clips import moving_clip
from helpers.videos import decode_all, write_video

from s2svr_mm.errors import DataError
from s2svr_mm.io.video import index_video, read_video


@pytest.mark.parametrize(
    ('name', 'codec', 'options'),
    [
        ('b_frames.mp4', 'libx264', {'bf': '3'}),
        ('open_gop.mp4', 'libx264', {'x264-params': 'open-gop=1:bframes=3:keyint=6'}),
        ('open_gop.mkv', 'libx265', {'x265-params': 'log-level=none:keyint=6:bframes=3'}),
        ('open_gop_hevc.mp4', 'libx265', {'x265-params': 'log-level=none:keyint=6:bframes=3'}),
        ('vp8.webm', 'libvpx', {'auto-alt-ref': '1', 'lag-in-frames': '8'}),
        ('vp9.webm', 'libvpx-vp9', {'cpu-used': '8'}),
        ('old.avi', 'mpeg4', {'bf': '2'}),
        ('tv.ts', 'libx264', {'bf': '2'}),
        ('bare.h264', 'libx264', {'bf': '2'}),
    ],
)
def test_any_frame_is_the_one_of_a_full_decode(tmp_path, name, codec, options):
    path = write_video(tmp_path / name, moving_clip(20, 72, 96), codec, options)
    expected = decode_all(path)
    assert index_video(str(path)).num_frames == len(expected) == 20
    rng = np.random.default_rng(0)
    for indices in [[0], [19], [7, 8, 9], *rng.integers(0, 20, (12, 4)).tolist()]:
        for i, frame in zip(indices, read_video(str(path), indices), strict=True):
            np.testing.assert_array_equal(frame, expected[i])


def test_variable_frame_rate_gives_every_frame_once(tmp_path):
    times = [0, 1, 5, 6, 30, 31, 32, 100]
    path = write_video(tmp_path / 'a.mp4', moving_clip(8, 32, 32), times=times)
    frames = read_video(str(path), range(8))
    for frame, expected in zip(frames, decode_all(path), strict=True):
        np.testing.assert_array_equal(frame, expected)


def test_trimmed_video_starts_where_players_start(tmp_path):
    path = write_video(tmp_path / 'whole.mp4', moving_clip(12, 64, 64))
    trimmed = tmp_path / 'trimmed.mp4'
    with av.open(str(path)) as source, av.open(str(trimmed), 'w') as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                packet.pts -= 3 * 512
                packet.dts -= 3 * 512
                target.mux(packet)
    whole = decode_all(path)
    assert index_video(str(trimmed)).num_frames == 9
    for indices in [[0], [8], [3, 1], [4, 5, 6]]:
        for i, frame in zip(indices, read_video(str(trimmed), indices), strict=True):
            np.testing.assert_array_equal(frame, whole[i + 3])


@pytest.mark.parametrize('rotation', [90, 180, -90])
def test_phone_video_is_turned_upright(tmp_path, rotation):
    path = write_video(tmp_path / 'a.mp4', moving_clip(3, 32, 48), rotation=rotation)
    (frame,) = read_video(str(path), [1])
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    capture.read()
    upright = capture.read()[1][..., ::-1]
    assert frame.shape == upright.shape == ((48, 32, 3) if rotation % 180 else (32, 48, 3))
    assert np.abs(frame.astype(int) - upright).mean() < 2


def test_damage_inside_is_not_concealed(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8)
    path = write_video(tmp_path / 'a.mp4', noise)
    data = bytearray(path.read_bytes())
    start = data.index(b'mdat') + len(data) // 3
    data[start : start + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r'a\.mp4 is damaged after'):
        read_video(str(path), range(12))


@pytest.mark.parametrize(
    ('name', 'codec'),
    [('a.mp4', 'libx264'), ('a.mkv', 'libx264'), ('a.webm', 'libvpx-vp9'), ('a.avi', 'mpeg4')],
)
def test_cut_off_video(tmp_path, name, codec):
    noise = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3), np.uint8)
    path = write_video(tmp_path / name, noise, codec)
    assert index_video(str(path)).num_frames == 30
    index_video.cache_clear()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=rf'{name}.*(cut off|damaged)'):
        index_video(str(path))


def test_cut_off_after_its_index(tmp_path):
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w', options={'movflags': 'faststart'}) as container:
        stream = container.add_stream('libx264', rate=25)
        stream.height = stream.width = 64
        for frame in moving_clip(12, 64, 64):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r'a\.mp4 is cut off after 0\.'):
        index_video(str(path))


def test_a_frame_too_many(tmp_path):
    path = write_video(tmp_path / 'a.mp4', moving_clip(3, 32, 32))
    with pytest.raises(DataError, match='has 3 frames; 3 was asked for'):
        read_video(str(path), [3])


def test_sound_alone(tmp_path):
    with av.open(str(tmp_path / 'a.mp4'), 'w') as container:
        stream = container.add_stream('aac', rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(DataError, match=r'a\.mp4 holds no video'):
        index_video(str(tmp_path / 'a.mp4'))
