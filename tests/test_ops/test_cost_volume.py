# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch

from benchmarks.reference_s2svr import reference_cost_volume
from s2svr_mm.ops.cost_volume import _cost_volume_onnx, cost_volume


@pytest.mark.parametrize('size', [(1, 1), (3, 40), (17, 16), (5, 15)])
@pytest.mark.parametrize('radius', [1, 4])
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_equals_shift_by_shift(size, radius, memory_format):
    generator = torch.Generator().manual_seed(0)
    ref, supp = (
        torch.randn(2, 6, *size, generator=generator).to(memory_format=memory_format)
        for _ in range(2)
    )
    torch.testing.assert_close(
        cost_volume(ref, supp, radius), reference_cost_volume(ref, supp, radius)
    )


def test_index_is_dy_then_dx():
    ref, supp = torch.zeros(2, 1, 1, 12, 12)
    ref[0, 0, 5, 5] = 1
    supp[0, 0, 5 - 2, 5 + 3] = 1
    volume = cost_volume(ref, supp)
    assert volume[0, (-2 + 4) * 9 + (3 + 4), 5, 5] == 1
    assert volume.sum() == 1


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    ref, supp = (
        torch.randn(1, 2, 3, 18, generator=generator, dtype=torch.double, requires_grad=True)
        for _ in range(2)
    )
    assert torch.autograd.gradcheck(lambda a, b: cost_volume(a, b, 1), (ref, supp))


def test_different_shapes_are_named():
    with pytest.raises(ValueError, match=r'\(1, 2, 3, 4\) and \(1, 2, 3, 5\)'):
        cost_volume(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 5))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='mmcv correlates on CUDA alone')
def test_cuda_equals_cpu():
    ref, supp = torch.randn(2, 2, 16, 20, 24)
    found = cost_volume(ref.cuda(), supp.cuda()).cpu()
    torch.testing.assert_close(found, cost_volume(ref, supp), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('radius', [1, 4, 9])
@pytest.mark.parametrize('size', [(1, 1), (3, 5), (7, 16), (4, 33)])
def test_the_form_that_is_exported_is_equal(size, radius):
    generator = torch.Generator().manual_seed(0)
    ref, supp = torch.randn(2, 2, 6, *size, generator=generator)
    exported = _cost_volume_onnx(ref, supp, radius)
    torch.testing.assert_close(exported, cost_volume(ref, supp, radius))
