# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import cv2
import numpy as np
import pytest
from mmagic.registry import TRANSFORMS

from s2svr_mm.errors import DataError
from s2svr_mm.io.clips import open_reader


def build(kind, **kwargs):
    return TRANSFORMS.build(dict(type=kind, **kwargs))


@pytest.fixture
def sample(clip_pairs):
    def make(**kwargs):
        root = clip_pairs(names=['a'], num_frames=3, **kwargs)
        return {
            f'{key}_path': [str(root / folder / f'a/{i:08d}.png') for i in range(3)]
            for key, folder in (('img', 'lq'), ('gt', 'gt'))
        }

    return make


class TestLoadClip:
    def test_frames_and_keys_of_mmagic(self, sample):
        paths = sample()
        ours = build('LoadClip')(dict(paths))
        theirs = dict(paths)
        for key in ('img', 'gt'):
            theirs = build('LoadImageFromFile', key=key, channel_order='rgb')(theirs)
        assert ours.pop('scale') == 4
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            if key in ('img', 'gt'):
                np.testing.assert_array_equal(ours[key], value)
            else:
                assert ours[key] == value

    def test_works_with_the_transforms_of_mmagic(self, sample):
        results = build('LoadClip')(sample(height=64, width=96))
        results = build('PairedRandomCrop', gt_patch_size=32)(results)
        results = build('RandomTransposeHW', keys=['img', 'gt'], transpose_ratio=1)(results)
        results = build('MirrorSequence', keys=['img', 'gt'])(results)
        packed = build('PackInputs')(results)
        assert packed['inputs'].shape == (6, 3, 8, 8)
        assert packed['data_samples'].gt_img.shape == (6, 3, 32, 32)

    def test_scale_of_the_data_set(self, sample):
        with pytest.raises(DataError, match=r'gt/a/0+\.png is 64x64, .*exactly 2 times the 16x16'):
            build('LoadClip')(sample() | dict(scale=2))

    @pytest.mark.parametrize('size', [(66, 64), (64, 66), (15, 16), (64, 128)])
    def test_no_whole_scale(self, sample, size):
        paths = sample()
        for path in paths['gt_path']:
            cv2.imwrite(path, np.zeros((size[1], size[0], 3), np.uint8))
        with pytest.raises(DataError, match=rf'is {size[0]}x{size[1]}, which is not a whole'):
            build('LoadClip')(paths)

    def test_mixed_sizes(self, sample):
        paths = sample()
        cv2.imwrite(paths['gt_path'][2], np.zeros((32, 32, 3), np.uint8))
        with pytest.raises(DataError, match=r'00000002\.png is 32x32, while .*00000000\.png'):
            build('LoadClip')(paths)


def gt(path, indices):
    clip = open_reader(str(path))
    return dict(gt_clip=clip, gt_indices=indices, gt_path=[clip.place(i) for i in indices])


class TestLoadYUVFrames:
    @pytest.fixture
    def yuv(self, tmp_path):
        planes = np.random.default_rng(0).integers(16, 236, (3, 24, 16), np.uint8)
        path = tmp_path / 'a_16x16_3.yuv'
        path.write_bytes(planes.tobytes())
        return gt(path, [2, 0]), planes

    def test_luma_alone(self, yuv):
        frames = build('LoadYUVFrames', luma_only=True)(yuv[0])['gt']
        for frame, i in zip(frames, (2, 0), strict=True):
            assert frame.shape == (16, 16, 3)
            for channel in range(3):
                np.testing.assert_array_equal(frame[..., channel], yuv[1][i, :16])

    def test_colour_is_that_of_load_clip(self, yuv):
        frames = build('LoadYUVFrames')(dict(yuv[0]))['gt']
        np.testing.assert_array_equal(frames, build('LoadClip')(dict(yuv[0]))['gt'])

    def test_luma_comes_back_from_colour(self, tmp_path):
        y, x = np.mgrid[:16, :16]
        planes = np.full((24, 16), 128, np.uint8)
        planes[:16] = 40 + 5 * y + 3 * x
        (tmp_path / 'a_16x16_1.yuv').write_bytes(planes.tobytes())
        results = build('LoadYUVFrames')(gt(tmp_path / 'a_16x16_1.yuv', [0]))
        from mmcv.image import rgb2ycbcr

        assert np.abs(rgb2ycbcr(results['gt'][0], y_only=True) - planes[:16]).max() <= 1

    def test_other_files(self, sample):
        with pytest.raises(DataError, match=r'0\.png is no raw YUV file'):
            build('LoadYUVFrames')(sample())
