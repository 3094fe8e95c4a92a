# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import av
import cv2
import pytest
from helpers.clips import moving_clip, write_frames
from PIL import Image

from s2svr_mm.io.clips import open_reader
from s2svr_mm.io.sizes import first_size_change

SIZES = (24, 32), (32, 48)


@pytest.fixture(scope='module')
def recordings(tmp_path_factory):
    """Raw streams of 12 frames of each size, with a keyframe at each fourth, one after the other.

    By the name of a codec, and as a transport stream.
    """
    folder = tmp_path_factory.mktemp('sizes')
    codecs = {'h264': 'libx264', 'mpegts': 'libx264', 'mpeg2video': 'mpeg2video'}
    for kind, codec in codecs.items():
        data = b''
        for size in SIZES:
            part = folder / 'part'
            with av.open(str(part), 'w', format=kind) as container:
                video = container.add_stream(codec, rate=25, options={'g': '4', 'bf': '2'})
                video.height, video.width, video.pix_fmt = *size, 'yuv420p'
                for frame in moving_clip(12, *size):
                    container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
                container.mux(video.encode())
            data += part.read_bytes()
        (folder / kind).write_bytes(data)
    return folder


@pytest.mark.parametrize('kind', ['h264', 'mpegts', 'mpeg2video'])
def test_video(recordings, kind):
    reader = open_reader(str(recordings / kind))
    found = first_size_change(reader)
    assert found in range(11, 14)
    assert reader.info_at(found - 1).height == SIZES[0][0]
    assert reader.info_at(found).height == SIZES[1][0]
    assert first_size_change(reader, 0, found) is None
    assert first_size_change(reader, found - 1) == found
    assert first_size_change(reader, found) is None


def test_images(tmp_path):
    folder = write_frames(tmp_path / 'in', moving_clip(3, *SIZES[0]))
    # One that stands on its side, and says so.
    turned = Image.fromarray(moving_clip(1, *SIZES[0][::-1])[0])
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(folder / '00000003.png', exif=exif)
    write_frames(folder, moving_clip(2, *SIZES[1]), start=4)
    reader = open_reader(str(folder))
    assert reader.info_at(3).width == SIZES[0][1]
    assert first_size_change(reader) == first_size_change(reader, 3) == 4
    assert first_size_change(reader, 0, 4) is None
    assert first_size_change(reader, 4) is None
    # What is damaged is told when it is read.
    for number in (0, 2, 5):
        path = folder / f'{number:08d}.png'
        path.write_bytes(path.read_bytes()[:100] if number else b'no image')
    assert first_size_change(open_reader(str(folder))) == 4


def test_nothing_changes(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), moving_clip(1, *SIZES[0])[0])
    assert first_size_change(open_reader(str(tmp_path / 'a.png'))) is None
