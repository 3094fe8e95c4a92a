# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import av
import cv2
import numpy as np
import pytest
from helpers.clips import moving_clip
from mmagic.registry import TRANSFORMS

from s2svr_mm.datasets.preparation.degradations import degrade_frames
from s2svr_mm.io.codec import x264_params
from s2svr_mm.io.color import BT601, ColorInfo, from_rgb, to_rgb


def degraded(clip, *args):
    pairs = list(degrade_frames(iter(clip), *args))
    return tuple(np.stack([pair[i] for pair in pairs]) for i in range(2))


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((np.float64(a) - b) ** 2))


def test_crf_is_a_file_that_x264_makes_by_default(tmp_path):
    clip, color = moving_clip(8, 96, 128, shift=(1.0, 2.0)), ColorInfo(matrix=BT601)
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w') as container:
        params = ':'.join(filter(None, ['threads=1', x264_params()]))
        options = {'crf': '23', 'preset': 'medium', 'x264-params': params}
        stream = container.add_stream('libx264', rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 96, 128, 'yuv420p'
        stream.gop_size = 250
        for frame in clip:
            container.mux(stream.encode(from_rgb(frame, 'yuv420p', color)))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        decoded = [to_rgb(frame, color) for frame in container.decode(video=0)]
    truth, compressed = degraded(clip, 'crf23', 1)
    np.testing.assert_array_equal(truth, clip)
    np.testing.assert_array_equal(compressed, decoded)


@pytest.mark.parametrize('scale', [2, 4])
def test_crf_of_a_smaller_clip_is_that_of_bicubic(scale):
    clip = moving_clip(4, 291, 307)
    truth, small = degraded(clip, 'bi', scale)
    cropped, compressed = degraded(clip, 'crf20', scale)
    np.testing.assert_array_equal(cropped, truth)
    np.testing.assert_array_equal(compressed, degraded(small, 'crf20', 1)[1])
    assert not np.array_equal(compressed, small)


def test_real_is_soft_noisy_and_compressed():
    # Smooth frames: compression takes next to nothing of them.
    clip = np.stack([cv2.GaussianBlur(x, (0, 0), 4) for x in moving_clip(5, 192, 256)])
    _, small = degraded(clip, 'bi', 2)
    truth, real = degraded(clip, 'real', 2)
    np.testing.assert_array_equal(truth, clip)
    np.testing.assert_array_equal(real, degraded(clip, 'real', 2)[1])
    # Farther from the clean small frames than compression alone leaves them, still near.
    assert 30 < psnr(real, small) < psnr(degraded(clip, 'crf25', 2)[1], small) - 0.3
    assert abs(np.mean(real) - np.mean(small)) < 0.5


def test_crf_is_what_configs_validate_on():
    clip = moving_clip(6, 96, 128)
    codec = dict(codec='libx264', crf=(23, 23), keyint=(250, 250), bframes=(3, 3))
    transform = TRANSFORMS.build(dict(type='RandomCompressVideo', codecs=[codec]))
    np.testing.assert_array_equal(
        transform(dict(gt=list(clip)))['img'], degraded(clip, 'crf23', 1)[1]
    )
