# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
from helpers.clips import moving_clip
from mmagic.registry import TRANSFORMS
from PIL import Image
from scipy.ndimage import correlate


def degrade(kind, gt, **kwargs):
    results = dict(gt=list(gt), gt_path=[f'{i}' for i in range(len(gt))], gt_channel_order='rgb')
    return TRANSFORMS.build(dict(type=kind, **kwargs))(results)


KINDS = ['BicubicDownsample', 'GaussianDownsample']


@pytest.mark.parametrize('kind', KINDS)
class TestDownsampling:
    @pytest.mark.parametrize('scale', [1, 2, 3, 4])
    def test_it_samples_the_middle_of_each_block(self, kind, scale):
        # A plane keeps its shape under any symmetric kernel, so the values tell the positions.
        y, x = np.mgrid[:48, :60]
        plane = np.repeat((20 + 2 * y + 1.5 * x)[..., None], 3, 2).astype(np.float32)
        small = degrade(kind, [plane], scale=scale)['img'][0]
        middle = (scale - 1) / 2
        expected = 20 + 2 * (scale * y + middle) + 1.5 * (scale * x + middle)
        inside = slice(8 // scale + 1, -8 // scale - 1)
        expected = expected[: 48 // scale, : 60 // scale][inside, inside]
        assert np.abs(small[inside, inside, 0] - expected).max() <= 0.5 + 1e-3

    def test_ground_truth_is_cropped_to_a_multiple(self, kind):
        gt = moving_clip(2, 30, 35)
        results = degrade(kind, gt)
        assert [f.shape for f in results['gt']] == [(28, 32, 3)] * 2
        assert [f.shape for f in results['img']] == results['ori_img_shape'] == [(7, 8, 3)] * 2
        assert results['scale'] == 4
        np.testing.assert_array_equal(results['gt'], gt[:, :28, :32])

    def test_meta_data_follow(self, kind):
        results = degrade(kind, moving_clip(2, 16, 16))
        assert results['img_path'] == results['gt_path']
        assert results['img_channel_order'] == 'rgb'
        assert results['img'][0].dtype == np.uint8

    def test_too_small(self, kind):
        with pytest.raises(ValueError, match='Frames of 16x3 cannot be 4 times smaller'):
            degrade(kind, moving_clip(1, 3, 16))

    def test_wrong_scale(self, kind):
        with pytest.raises(ValueError, match='got 0'):
            TRANSFORMS.build(dict(type=kind, scale=0))


def test_bicubic_is_near_another_antialiased_bicubic():
    # Pillow's kernel is the same (a = -0.5), but it treats the borders in another way and rounds
    # between the two directions.
    gt = moving_clip(1, 64, 96)[0]
    small = degrade('BicubicDownsample', [gt])['img'][0]
    theirs = np.asarray(Image.fromarray(gt).resize((24, 16), Image.Resampling.BICUBIC))
    assert np.abs(small.astype(int) - theirs)[2:-2, 2:-2].max() <= 1


def test_gaussian_equals_the_formula():
    gt = moving_clip(1, 40, 44)[0]
    offset = np.arange(12) - 5.5
    kernel = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.6**2))
    kernel /= kernel.sum()
    # SciPy's even kernel reaches one pixel further to the left; MATLAB's, to the right.
    blurred = correlate(gt.astype(float), kernel[..., None], mode='nearest', origin=(-1, -1, 0))
    small = degrade('GaussianDownsample', [gt])['img'][0]
    assert np.abs(small - blurred[1::4, 1::4]).max() <= 0.5 + 1e-3


def test_degradations_follow_one_another():
    gt = moving_clip(3, 64, 64)
    results = degrade('GaussianDownsample', gt)
    results = TRANSFORMS.build(dict(type='CompressVideo', qp=37))(results)
    assert results['img'][0].shape == (16, 16, 3)
    assert results['scale'] == 4
    np.testing.assert_array_equal(results['gt'], gt)
