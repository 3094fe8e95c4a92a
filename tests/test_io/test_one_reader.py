# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Whatever reads a video, through whatever door, sees the same pixels, and the right ones."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Interpolation
from helpers.clips import moving_clip
from helpers.restoring import Same, run
from helpers.videos import set_display_matrix

from s2svr_mm.comparison.clips import clips_without_truth
from s2svr_mm.datasets import LoadClip, VideoClipDataset
from s2svr_mm.datasets.preparation.own_clips import prepare_clip
from s2svr_mm.io.clips import open_reader
from s2svr_mm.io.images import read_pixels

ACCURATE = Interpolation.BICUBIC | Interpolation.ACCURATE_RND
ACCURATE |= Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
FRAMES = 3
LIMITED, FULL = 1, 2
MIRRORED, TURNED = (-1, 0, 0, 1), (0, 1, -1, 0)
# swscale's numbers of BT.709 and BT.601, and those of H.273 that a stream carries.
SWS, TAGS = {709: 1, 601: 5}, {709: 1, 601: 6}


def write(path, clip, codec, pix_fmt, matrix, tagged, color_range):
    """Encode RGB frames, all but without loss, as FFmpeg's accurate conversion makes samples."""
    options = {'crf': '1', 'preset': 'ultrafast', 'x265-params': 'log-level=none:crf=1'}
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = clip.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = 2
        stream.codec_context.color_range = color_range
        if tagged:
            stream.codec_context.colorspace = TAGS[matrix]
        for rgb in clip:
            frame = av.VideoFrame.from_ndarray(rgb, format='rgb24').reformat(
                format=pix_fmt,
                src_color_range=FULL,
                dst_colorspace=SWS[matrix],
                dst_color_range=color_range,
                interpolation=ACCURATE,
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def every_way(path: Path, folder: Path, deep: bool) -> dict[str, np.ndarray]:
    """The frames as each public way reads them, (t, h, w, 3), [0, 255], float32."""
    source = str(path)
    reader = open_reader(source)
    unit = np.float32(257 if deep else 1)
    dataset = VideoClipDataset(dict(gt=source), test_mode=True, pipeline=[LoadClip()])
    (compared,) = clips_without_truth('group', source)
    run(path, folder / 'restored', Same())
    pngs = sorted((folder / 'restored').glob('*.png'))
    return {
        'in a row': np.stack([frame.rgb / unit for frame in reader.iterate()]),
        'by number': np.stack([reader.read([i])[0].rgb / unit for i in range(FRAMES)]),
        'data set': np.stack(dataset[0]['gt']),
        'compare, in a row': np.stack([frame for frame, _ in compared.pairs()]),
        'compare, by number': np.stack(compared.degraded(range(FRAMES))),
        'restore': np.stack([read_pixels(str(png)) / unit for png in pngs]),
    }


def psnr(a, b):
    return 10 * np.log10(255**2 / np.square(np.float64(a) - b).mean())


def earlier_ways(path, matrix, color_range):
    """What data sets and restoring once read: swscale's defaults, and its accurate conversion."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    source = dict(src_colorspace=SWS[matrix], src_color_range=color_range)
    return [
        np.stack([frame.to_ndarray(format='rgb24') for frame in frames]),
        np.stack(
            [
                frame.reformat(
                    format='rgb24', dst_color_range=FULL, interpolation=ACCURATE, **source
                ).to_ndarray()
                for frame in frames
            ]
        ),
    ]


@pytest.mark.parametrize(
    ('codec', 'pix_fmt', 'matrix', 'tagged', 'color_range', 'turn', 'size'),
    [
        ('libx264', 'yuv420p', 709, True, LIMITED, None, (72, 96)),
        ('libx264', 'yuv420p', 601, True, LIMITED, MIRRORED, (72, 96)),
        ('libx264', 'yuv420p', 601, False, LIMITED, None, (72, 96)),
        ('libx264', 'yuv420p', 709, False, LIMITED, None, (720, 96)),
        ('libx264', 'yuv420p', 709, True, FULL, TURNED, (72, 96)),
        ('libx264', 'yuv422p', 709, True, LIMITED, TURNED, (72, 96)),
        ('libx264', 'yuv444p', 601, True, FULL, None, (72, 96)),
        ('libx264', 'yuv420p10le', 709, True, LIMITED, None, (72, 96)),
        ('libx264', 'yuv444p10le', 709, False, LIMITED, MIRRORED, (72, 1280)),
        ('libx265', 'yuv420p', 601, True, LIMITED, None, (72, 96)),
        ('libx265', 'yuv422p', 709, True, FULL, MIRRORED, (72, 96)),
        ('libx265', 'yuv444p', 601, False, LIMITED, TURNED, (72, 96)),
        ('libx265', 'yuv420p10le', 709, True, FULL, TURNED, (72, 96)),
        ('libx265', 'yuv422p10le', 601, True, LIMITED, None, (72, 96)),
    ],
)
def test_every_way_reads_the_same_pixels_and_none_is_farther_from_the_truth_than_before(
    tmp_path, codec, pix_fmt, matrix, tagged, color_range, turn, size
):
    clip = moving_clip(FRAMES, *size, degrees=0.02)
    # As soft as frames of a camera are, so that chroma of half the size holds them.
    clip = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in clip])
    path = tmp_path / 'a.mp4'
    write(path, clip, codec, pix_fmt, matrix, tagged, color_range)
    before = max(psnr(way, clip) for way in earlier_ways(path, matrix, color_range))
    truth = clip
    if turn:
        set_display_matrix(path, *turn)
        truth = clip[:, :, ::-1] if turn == MIRRORED else np.rot90(clip, -1, (1, 2))

    deep = '10le' in pix_fmt
    ways = every_way(path, tmp_path, deep)
    for name, frames in ways.items():
        assert frames.shape == truth.shape, name
        np.testing.assert_array_equal(frames, ways['in a row'], err_msg=name)
    assert psnr(ways['in a row'], truth) > before - 0.02

    prepare_clip(str(path), 'a', tmp_path / 'train', 'bi', 4, tmp_path)
    prepared = [read_pixels(str(f)) for f in sorted((tmp_path / 'train/gt/a').glob('*.png'))]
    np.testing.assert_array_equal(prepared, ways['in a row'].round())
