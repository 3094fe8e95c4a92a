# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import av
import numpy as np
import pytest
from av.video.frame import PictureType
from helpers.clips import moving_clip
from mmagic.registry import TRANSFORMS

from s2svr_mm.io.color import BT601, ColorInfo, from_rgb, to_rgb


def compress(frames, **kwargs):
    results = TRANSFORMS.build(dict(type='CompressVideo', **kwargs))(dict(gt=list(frames)))
    np.testing.assert_array_equal(results['gt'], frames)
    return np.stack(results['img'])


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((np.float64(a) - b) ** 2))


@pytest.mark.parametrize(
    ('codec', 'params'),
    [
        ('libx265', 'qp=37:bframes=0:ipratio=1:pbratio=1:keyint=-1'),
        # PyAV asks x264 for sliced threads, which the ffmpeg command does not.
        (
            'libx264',
            'qp=37:bframes=0:ipratio=1:pbratio=1:keyint=infinite:scenecut=0:sliced-threads=0',
        ),
    ],
)
def test_frames_are_those_of_a_file_encoded_with_the_same_settings(tmp_path, codec, params):
    clip, color = moving_clip(8, 128, 192), ColorInfo(matrix=BT601)
    path = tmp_path / 'a.mp4'
    with av.open(str(path), 'w') as container:
        options = {f'{codec[3:]}-params': params}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 128, 192, 'yuv420p'
        for frame in clip:
            container.mux(stream.encode(from_rgb(frame, 'yuv420p', color)))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        decoded = [to_rgb(frame, color) for frame in container.decode(video=0)]
    np.testing.assert_array_equal(compress(clip, codec=codec, qp=37), decoded)


@pytest.mark.parametrize('codec', ['libx265', 'libx264'])
@pytest.mark.parametrize('mode', ['qp', 'crf'])
def test_quality_falls_with_the_parameter(codec, mode):
    clip = moving_clip(5, 96, 96, shift=(1.0, 0.0))
    quality = [psnr(compress(clip, codec=codec, **{mode: v}), clip) for v in (22, 32, 42)]
    assert quality[0] > quality[1] + 2 > quality[2] + 4


def test_low_delay_p_has_one_intra_frame_and_b_frames_come_on_demand():
    from s2svr_mm.io.codec import encoder_params, recompress

    clip = moving_clip(9, 96, 96)
    clip[4:] = clip[4:, ::-1]  # a scene cut must not add an intra frame

    def kinds(bframes):
        params = encoder_params('libx265', qp=37, bframes=bframes)
        frames = (
            av.VideoFrame.from_ndarray(f, format='rgb24').reformat(format='yuv420p') for f in clip
        )
        return [PictureType(f.pict_type) for f in recompress(frames, 'libx265', params)]

    assert kinds(0) == [PictureType.I] + 8 * [PictureType.P]
    assert PictureType.B in kinds(3)
    assert compress(clip, qp=37, bframes=3).shape == clip.shape


@pytest.mark.parametrize('size', [(65, 97), (1, 1), (7, 130), (64, 64)])
@pytest.mark.parametrize('codec', ['libx265', 'libx264'])
def test_odd_and_small_frames_keep_their_size(codec, size):
    clip = moving_clip(3, 130, 130)[:, : size[0], : size[1]]
    out = compress(clip, codec=codec, qp=10)
    assert out.shape == clip.shape
    assert psnr(out, clip) > 25


def test_one_quality_for_a_clip():
    clip = moving_clip(4, 64, 64)
    by_qp = {qp: compress(clip, qp=qp) for qp in (25, 40)}
    transform = TRANSFORMS.build(dict(type='CompressVideo', qp=[25, 40]))
    np.random.seed(0)
    drawn = []
    for _ in range(12):
        out = np.stack(transform(dict(gt=list(clip)))['img'])
        drawn.append(next(qp for qp, frames in by_qp.items() if np.array_equal(out, frames)))
    assert set(drawn) == {25, 40}


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(qp=37, crf=20), 'either qp or crf'),
        (dict(), 'either qp or crf'),
        (dict(qp=60), 'lies in 0 to 51'),
        (dict(codec='av1', qp=37), 'codec is one of'),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(dict(type='CompressVideo', **kwargs))
