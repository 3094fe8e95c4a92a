# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import re

import av
import numpy as np
import pytest
from helpers.videos import decode_all

from s2svr_mm.errors import DataError
from s2svr_mm.io.video import VideoReader

CLUSTER = bytes.fromhex('1f43b675')
FRAMES = 60


def write(path, **options):
    """A video of a cluster for every half second."""
    options = {'cluster_time_limit': '500', **options}
    with av.open(str(path), 'w', options=options) as container:
        codec = 'libvpx-vp9' if path.suffix == '.webm' else 'libx264'
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.codec_context.gop_size = 48, 64, 12
        sound = container.add_stream('libopus', rate=48000)
        for number in range(FRAMES):
            noise = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, 'rgb24')))
            tone = np.full((1, 2 * 1920), number, np.int16)
            frame = av.AudioFrame.from_ndarray(tone, 's16', 'stereo')
            frame.sample_rate, frame.pts = 48000, 1920 * number
            container.mux(sound.encode(frame))
        container.mux(stream.encode())
        container.mux(sound.encode())
    return path


def clusters_of(data):
    places = [place for place in range(len(data)) if data.startswith(CLUSTER, place)]
    assert len(places) >= 4
    return places


@pytest.mark.parametrize('name', ['a.mkv', 'a.webm'])
@pytest.mark.parametrize('options', [{}, {'live': '1'}, {'cues_to_front': '1'}])
def test_a_whole_file_has_no_flaw(tmp_path, name, options):
    """``live`` files do not say how long they and their clusters are."""
    reader = VideoReader(str(write(tmp_path / name, **options)))
    assert len(reader) == FRAMES
    assert reader.damage is None


@pytest.mark.parametrize('options', [{}, {'live': '1'}])
@pytest.mark.parametrize(
    'what', ['whole cluster', 'head of a cluster', 'head of a block', 'size of a block']
)
def test_matroska_in_which_a_part_is_destroyed(tmp_path, what, options):
    path = write(tmp_path / 'a.mkv', **options)
    data = bytearray(path.read_bytes())
    start, stop = clusters_of(data)[2:4]
    if what == 'whole cluster':
        data[start:stop] = bytes(stop - start)
    elif what == 'head of a cluster':
        data[start] ^= 0x40
    else:
        # Behind the head of the cluster and its time, a block's size.
        place = data.index(b'\xa3', start + 12)
        # That of none, or in 8 bytes one that is far beyond the file.
        data[place + 1] = 0 if what == 'head of a block' else 1
    path.write_bytes(data)
    reader = VideoReader(str(path))
    assert len(reader) == len(decode_all(path)) < FRAMES
    assert reader.damage.is_incomplete
    place = int(re.search(r'damaged.* at byte (\d+)', str(reader.damage))[1])
    assert start <= place < stop
    with pytest.raises(DataError, match='damaged'):
        VideoReader(str(path), strict=True)


def test_a_recording_that_was_killed(tmp_path):
    """It does not say how long it is, so only its last element tells."""
    path = write(tmp_path / 'a.mkv', live='1')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    reader = VideoReader(str(path))
    assert reader.damage.is_incomplete
    assert 'cut off' in str(reader.damage)
