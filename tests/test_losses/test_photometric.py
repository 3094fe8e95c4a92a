# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import numpy as np
import pytest
import torch

from s2svr_mm.compat import import_mmflow
from s2svr_mm.losses import PhotometricLoss, census_distance, masked_mean

TERMS = {
    'l1': dict(l1_weight=1.0, ssim_weight=0.0),
    'ssim': dict(l1_weight=0.0, ssim_weight=1.0),
    'census': dict(l1_weight=0.0, ssim_weight=0.0, census_weight=1.0),
}


def frames(n=2, h=6, w=7, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, n, 3, h, w, generator=generator, dtype=dtype)


def ssim_of_windows(x, y):
    """(1 - SSIM) / 2 of every 3x3 window, window by window (Wang et al., 2004, equation 13)."""
    n, c, h, w = x.shape
    result = np.zeros((n, c, h, w))
    x, y = (np.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1)), mode='edge') for a in (x, y))
    for i in np.ndindex(n, c, h, w):
        window = (*i[:2], slice(i[2], i[2] + 3), slice(i[3], i[3] + 3))
        a, b = x[window].ravel(), y[window].ravel()
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        ssim = (2 * a.mean() * b.mean() + 0.01**2) * (2 * covariance + 0.03**2)
        ssim /= (a.mean() ** 2 + b.mean() ** 2 + 0.01**2) * (a.var() + b.var() + 0.03**2)
        result[i] = np.clip((1 - ssim) / 2, 0, 1)
    return result.mean(1, keepdims=True)


def census_of_pixels(x, y):
    """The soft Hamming distance, pixel by pixel and neighbour by neighbour."""
    n, _, h, w = x.shape
    x, y = (255 * (0.2989 * a[:, 0] + 0.5870 * a[:, 1] + 0.1140 * a[:, 2]) for a in (x, y))
    result = np.zeros((n, 1, h, w))
    for i, row, column in np.ndindex(n, h, w):
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                there = (i, min(max(row + dy, 0), h - 1), min(max(column + dx, 0), w - 1))
                t = [a[there] - a[i, row, column] for a in (x, y)]
                t = [value / (0.81 + value**2) ** 0.5 for value in t]
                result[i, 0, row, column] += (t[0] - t[1]) ** 2 / (0.1 + (t[0] - t[1]) ** 2) / 9
    return result


@pytest.mark.parametrize(
    ('term', 'reference'), [('ssim', ssim_of_windows), ('census', census_of_pixels)]
)
def test_equals_an_independent_computation(term, reference):
    x, y = frames()
    found = PhotometricLoss(**TERMS[term], reduction='none')(x, y)
    np.testing.assert_allclose(found.numpy(), reference(x.numpy(), y.numpy()), atol=1e-9)


def test_census_equals_that_of_mmflow_over_inner_pixels():
    import_mmflow()
    from mmflow.models.losses.census_loss import census_loss

    x, y = frames(dtype=torch.float32)
    inner = torch.zeros(2, 1, 6, 7)
    inner[..., 1:-1, 1:-1] = 1
    found = PhotometricLoss(**TERMS['census'])(x, y, inner)
    torch.testing.assert_close(found, census_loss(x, y))


def test_census_ignores_brightness():
    x, _ = frames()
    assert census_distance(x * 0.5, x * 0.5 + 0.3).max() < 1e-12


@pytest.mark.parametrize('term', TERMS)
def test_gradient_by_finite_differences(term):
    x, y = frames(n=1, h=4, w=5)
    y.requires_grad_()
    visible = torch.ones(1, 1, 4, 5, dtype=torch.float64)
    visible[0, 0, 1, :3] = 0
    loss = PhotometricLoss(**TERMS[term])
    assert torch.autograd.gradcheck(lambda warped: loss(x, warped, visible), y)


@pytest.mark.parametrize('term', TERMS)
def test_hidden_pixels_do_not_count(term):
    x, y = frames(h=8, w=8)
    visible = torch.zeros(2, 1, 8, 8, dtype=torch.float64)
    visible[..., :4] = 1
    changed = y.clone()
    changed[..., 5:] = 0  # one column further, since windows are 3x3
    loss = PhotometricLoss(**TERMS[term])
    torch.testing.assert_close(loss(x, changed, visible), loss(x, y, visible))
    whole = PhotometricLoss(**TERMS[term], reduction='none')(x, y)
    torch.testing.assert_close(loss(x, y, visible), whole[..., :4].mean())


@pytest.mark.parametrize('term', TERMS)
@pytest.mark.parametrize('value', ['equal', 'constant', 'black'])
def test_equal_or_constant_frames_have_finite_gradients(term, value):
    x, _ = frames(dtype=torch.float32)
    if value != 'equal':
        x = torch.full_like(x, 0.0 if value == 'black' else 0.5)
    y = x.clone().requires_grad_()
    loss = PhotometricLoss(**TERMS[term])(x, y)
    loss.backward()
    assert abs(loss.item()) < 1e-6
    assert y.grad.isfinite().all()


def test_nothing_visible_is_zero_and_not_nan():
    x, y = frames()
    y.requires_grad_()
    loss = PhotometricLoss()(x, y, torch.zeros(2, 1, 6, 7))
    loss.backward()
    assert loss.item() == 0
    assert y.grad.eq(0).all()


def test_terms_and_weights_add_up():
    x, y = frames()
    single = {name: PhotometricLoss(**terms)(x, y) for name, terms in TERMS.items()}
    both = PhotometricLoss(l1_weight=0.2, ssim_weight=0.5, census_weight=2.0, loss_weight=3.0)
    expected = 3 * (0.2 * single['l1'] + 0.5 * single['ssim'] + 2 * single['census'])
    torch.testing.assert_close(both(x, y), expected)


def test_frames_of_one_pixel():
    x, y = frames(h=1, w=1)
    assert PhotometricLoss(census_weight=1.0)(x, y).isfinite()


def test_masked_mean_of_soft_masks():
    x = torch.arange(8.0).view(1, 2, 2, 2)
    mask = torch.tensor([[[[1.0, 0.5], [0.0, 0.5]]]])
    expected = (0 + 0.5 * 1 + 0.5 * 3 + 4 + 0.5 * 5 + 0.5 * 7) / 4
    assert masked_mean(x, mask).item() == pytest.approx(expected)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r'\(2, 3, 6, 7\) and \(2, 3, 6, 6\)'):
        PhotometricLoss()(torch.zeros(2, 3, 6, 7), torch.zeros(2, 3, 6, 6))
    with pytest.raises(ValueError, match='one of them positive, but got l1_weight=0'):
        PhotometricLoss(l1_weight=0, ssim_weight=0)
    with pytest.raises(ValueError, match="got 'sum'"):
        PhotometricLoss(reduction='sum')
