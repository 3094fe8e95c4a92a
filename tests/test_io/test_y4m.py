# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""YUV4MPEG2, read and written, against FFmpeg's reader and writer."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.clips import moving_clip

from s2svr_mm.errors import DataError
from s2svr_mm.io.color import color_of, from_rgb, planes_of, to_rgb
from s2svr_mm.io.reader import VideoInfo
from s2svr_mm.io.y4m import Y4MReader, Y4MWriter

PIX_FMTS = ['yuv420p', 'yuv422p', 'yuv444p', 'gray', 'yuv420p10le', 'yuv422p10le', 'yuv444p10le']


def ffmpeg_stream(pix_fmt, count=3, size=(36, 50)):
    """A stream that FFmpeg has written, and the pictures that went in."""
    file, pictures = io.BytesIO(), []
    options = {'strict': '-1'}
    with av.open(file, 'w', format='yuv4mpegpipe', options=options) as container:
        video = container.add_stream('wrapped_avframe', rate=Fraction(30000, 1001))
        video.height, video.width = size
        video.pix_fmt = pix_fmt
        for rgb in moving_clip(count, *size):
            picture = av.VideoFrame.from_ndarray(rgb, format='rgb24').reformat(format=pix_fmt)
            pictures.append(picture)
            container.mux(video.encode(picture))
        container.mux(video.encode())
    return file.getvalue(), pictures


@pytest.mark.parametrize('pix_fmt', PIX_FMTS)
@pytest.mark.parametrize('size', [(36, 50), (35, 49)])
def test_reads_what_ffmpeg_writes(pix_fmt, size):
    data, pictures = ffmpeg_stream(pix_fmt, size=size)
    reader = Y4MReader(io.BytesIO(data))
    assert (reader.info.height, reader.info.width) == size
    assert reader.info.rate == Fraction(30000, 1001)
    frames = list(reader)
    assert [frame.index for frame in frames] == [0, 1, 2]
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.array_equal(frame.rgb, to_rgb(picture, reader.info.color))
        assert frame.rgb.dtype == (np.uint16 if '10' in pix_fmt else np.uint8)


@pytest.mark.parametrize('pix_fmt', PIX_FMTS)
@pytest.mark.parametrize('size', [(36, 50), (35, 49)])
def test_ffmpeg_reads_what_is_written(pix_fmt, size):
    picture = av.VideoFrame(size[1], size[0], pix_fmt)
    info = VideoInfo(
        *size, pixel_aspect=Fraction(4, 3), rate=Fraction(24000, 1001), color=color_of(picture)
    )
    clip, file = moving_clip(3, *size), io.BytesIO()
    writer = Y4MWriter(file, info)
    assert writer.pix_fmt == pix_fmt
    for rgb in clip:
        writer.write(rgb)
    file.seek(0)
    with av.open(file, format='yuv4mpegpipe') as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == size[::-1]
        assert (stream.base_rate, stream.sample_aspect_ratio) == (info.rate, Fraction(4, 3))
        found = list(container.decode(video=0))
    assert len(found) == 3
    for frame, rgb in zip(found, clip, strict=True):
        assert frame.format.name == pix_fmt
        depth = frame.format.components[0].bits
        planes = planes_of(frame, depth), planes_of(from_rgb(rgb, pix_fmt, info.color), depth)
        assert all(np.array_equal(a, b) for a, b in zip(*planes, strict=True))


def test_full_range_is_kept():
    file = io.BytesIO(
        b'YUV4MPEG2 W2 H2 F25:1 Ip C444 XCOLORRANGE=FULL\nFRAME\n' + bytes(4) + b'\x80' * 8
    )
    reader = Y4MReader(file)
    (frame,) = reader
    assert frame.rgb.max() == 0
    out = io.BytesIO()
    Y4MWriter(out, reader.info)
    assert b'XCOLORRANGE=FULL' in out.getvalue()


@pytest.mark.parametrize('left', [1, 3, 5, 6, 7, 100, 2699])
def test_a_stream_that_is_cut_off_is_no_shorter_clip(left):
    data, _ = ffmpeg_stream('yuv420p')
    frame_bytes = len(b'FRAME\n') + 50 * 36 * 3 // 2
    frames = iter(Y4MReader(io.BytesIO(data[: -frame_bytes + left])))
    assert (next(frames).index, next(frames).index) == (0, 1)
    with pytest.raises(DataError, match='standard input is cut off in frame 2'):
        next(frames)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'', 'standard input is empty: send it y4m, such as ffmpeg'),
        (b'\0\0\0 ftypisom', 'is not y4m'),
        (b'YUV4MPEG2 W4 H4', 'is not y4m'),
        (b'YUV4MPEG2 H4 F25:1\n', 'states no frame size'),
        (b'YUV4MPEG2 W0 H4 F25:1\n', 'states no frame size'),
        (b'YUV4MPEG2 W4 H4 It\n', 'is interlaced.*bwdif'),
        (b'YUV4MPEG2 W4 H4 C444alpha\n', 'kind C444alpha, which is not read'),
        (b'YUV4MPEG2 W4 H4\nFRAMES\n', 'frame 0 does not begin with FRAME'),
    ],
)
def test_what_is_no_stream(data, message):
    with pytest.raises(DataError, match=message):
        list(Y4MReader(io.BytesIO(data)))


def test_other_formats_are_not_written():
    with pytest.raises(DataError, match=r"y4m is written as yuv420p, .* but got 'nv12'"):
        Y4MWriter(io.BytesIO(), VideoInfo(4, 4), 'nv12')
