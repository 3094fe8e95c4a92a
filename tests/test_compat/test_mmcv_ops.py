# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""mmcv's operators without compiled code, in an environment that may have it or not."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mmcv.ops
import pytest
import torch
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor

from s2svr_mm.compat import deform_conv, mmcv_ops
from s2svr_mm.errors import MissingOpError
from s2svr_mm.utils.profiling import count_macs

CHECKOUT = Path(__file__).resolve().parents[2]
COMPILED = not mmcv_ops.stand_in()
# Geometry: stride, padding, dilation, groups, deformable groups.
GEOMETRY = [(1, 1, 1, 1, 1), ((2, 1), (1, 2), (1, 2), 2, 2)]


def arguments(stride, padding, dilation, groups, deform_groups, dtype=torch.double) -> list[Tensor]:
    """Input, offset, mask, weight and bias of a small convolution; offsets reach outside."""
    generator = torch.Generator().manual_seed(0)
    pairs = [v if isinstance(v, tuple) else (v, v) for v in (stride, padding, dilation)]
    sizes = [(n + 2 * p - 2 * d - 1) // s + 1 for n, s, p, d in zip((6, 7), *pairs, strict=True)]
    shapes = dict(
        input=(2, 4, 6, 7),
        offset=(2, 18 * deform_groups, *sizes),
        mask=(2, 9 * deform_groups, *sizes),
        weight=(2, 4 // groups, 3, 3),
        bias=(2,),
    )
    tensors = {
        name: torch.randn(shape, generator=generator, dtype=torch.double)
        for name, shape in shapes.items()
    }
    tensors['offset'] *= 2
    # Bilinear weights have corners at whole pixels, where finite differences are of no use.
    position = tensors['offset'].remainder(1)
    tensors['offset'] += (0.1 - position).clamp(min=0) - (position - 0.9).clamp(min=0)
    tensors['mask'].sigmoid_()
    return [tensor.to(dtype).requires_grad_() for tensor in tensors.values()]


def by_definition(input, offset, mask, weight, bias, stride, padding) -> Tensor:
    """Deformable convolution of one group, sample by sample (Zhu et al., CVPR 2019, eq. 1)."""
    n, c, h, w = input.shape
    output = bias.view(1, -1, 1, 1).repeat(n, 1, *offset.shape[-2:]).double()

    def pixel(image, y, x):
        return image[:, y, x] if 0 <= y < h and 0 <= x < w else image.new_zeros(c)

    for b in range(n):
        for row in range(output.shape[2]):
            for column in range(output.shape[3]):
                for k in range(9):
                    y = row * stride - padding + k // 3 + offset[b, 2 * k, row, column].item()
                    x = column * stride - padding + k % 3 + offset[b, 2 * k + 1, row, column].item()
                    top, left = int(y // 1), int(x // 1)
                    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
                        share = (1 - abs(y - top - dy)) * (1 - abs(x - left - dx))
                        value = share * pixel(input[b], top + dy, left + dx)
                        value = value * mask[b, k, row, column]
                        output[b, :, row, column] += weight[:, :, k // 3, k % 3] @ value
    return output


def test_equals_the_definition():
    tensors = [tensor.detach() for tensor in arguments(1, 1, 1, 1, 1)]
    found = deform_conv.modulated_deform_conv2d(*tensors, padding=1)
    torch.testing.assert_close(found, by_definition(*tensors, stride=1, padding=1))
    tensors[2], tensors[4] = torch.ones_like(tensors[2]), torch.zeros(2)
    input, offset, _, weight, _ = tensors
    found = deform_conv.deform_conv2d(input, offset, weight, padding=1)
    torch.testing.assert_close(found, by_definition(*tensors, stride=1, padding=1))


@pytest.mark.parametrize('geometry', GEOMETRY)
def test_gradients(geometry):
    tensors = arguments(*geometry)
    assert torch.autograd.gradcheck(
        lambda *t: deform_conv.modulated_deform_conv2d(*t, *geometry), tensors, fast_mode=True
    )
    input, offset, _, weight, _ = tensors
    assert torch.autograd.gradcheck(
        lambda *t: deform_conv.deform_conv2d(*t, *geometry),
        (input, offset, weight),
        fast_mode=True,
    )


def test_multiply_adds_are_counted():
    """Of torchvision's operator and, where they are compiled, of mmcv's."""
    input, offset, mask, weight, bias = arguments(1, 1, 1, 1, 1, dtype=torch.float)
    forward = 2 * 2 * 6 * 7 * 4 * 9  # samples, channels out, pixels, channels in, kernel
    for function in (deform_conv.modulated_deform_conv2d, mmcv.ops.modulated_deform_conv2d):

        def run(function=function):
            return function(input, offset, mask, weight, bias, 1, 1)

        assert count_macs(run) == forward
        # mmcv computes the gradient of the bias as a product, too.
        both = count_macs(lambda run=run: run().sum().backward())
        assert both == pytest.approx(3 * forward, rel=0.01)


def test_types():
    """What autocast hands over: features of one type, offsets of another."""
    input, offset, mask, weight, bias = (t.detach() for t in arguments(1, 1, 1, 1, 1))
    exact = deform_conv.modulated_deform_conv2d(input, offset, mask, weight, bias, padding=1)
    offset = offset.bfloat16()
    found = deform_conv.modulated_deform_conv2d(
        input.float(), offset, mask.bfloat16(), weight.float(), bias.float(), padding=1
    )
    assert found.dtype == torch.bfloat16
    near = deform_conv.modulated_deform_conv2d(
        input, offset.double(), mask, weight, bias, padding=1
    )
    torch.testing.assert_close(found.double(), near, atol=0.05, rtol=0.05)
    assert not torch.equal(near, exact)


@pytest.mark.skipif(not COMPILED, reason='this environment has no compiled mmcv to compare with')
@pytest.mark.parametrize('geometry', GEOMETRY)
def test_equals_the_compiled_operators(geometry):
    """Values and gradients; the suite runs in environments of both kinds."""
    modulated = arguments(*geometry, dtype=torch.float)
    plain = [modulated[0], modulated[1], modulated[3]]
    for ours, theirs, tensors in (
        (deform_conv.modulated_deform_conv2d, mmcv.ops.modulated_deform_conv2d, modulated),
        (deform_conv.deform_conv2d, mmcv.ops.deform_conv2d, plain),
    ):
        found, expected = ours(*tensors, *geometry), theirs(*tensors, *geometry)
        torch.testing.assert_close(found, expected)
        towards = torch.randn_like(found)
        torch.testing.assert_close(
            torch.autograd.grad(found, tensors, towards),
            torch.autograd.grad(expected, tensors, towards),
        )


@pytest.fixture
def not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without compiled operators, for those networks that know of some."""
    from mmagic.models.editors import basicvsr_plusplus_net, edvr, tdan

    modulated, plain = deform_conv.modulated_deform_conv2d, deform_conv.deform_conv2d
    for module in (basicvsr_plusplus_net.basicvsr_plusplus_net, edvr.edvr_net):
        monkeypatch.setattr(module, 'modulated_deform_conv2d', modulated)
    monkeypatch.setattr(tdan.tdan_net, 'deform_conv2d', plain)
    monkeypatch.setattr(sys.modules['mmcv.ops.deform_conv'], 'deform_conv2d', plain)
    for name in ('deform_conv', 'modulated_deform_conv', 'roi_align'):
        monkeypatch.setattr(sys.modules[f'mmcv.ops.{name}'], 'ext_module', mmcv_ops.StandIn())


def baseline(name: str) -> dict:
    """A small model of one of our configs, or an editor of mmagic that we have no config for."""
    small = dict(mid_channels=16, num_blocks=1)
    if name == 'tdan':
        generator = dict(type='TDANNet', mid_channels=16, num_blocks_before_align=1)
        return dict(
            type='TDAN',
            generator=generator,
            pixel_loss=dict(type='MSELoss'),
            lq_pixel_loss=dict(type='MSELoss'),
            data_preprocessor=dict(type='DataPreprocessor'),
        )
    if name == 'edvr':
        generator = dict(type='EDVRNet', in_channels=3, out_channels=3, mid_channels=16)
        generator |= dict(num_frames=5, num_blocks_extraction=1, num_blocks_reconstruction=1)
        return dict(
            type='EDVR',
            generator=generator,
            pixel_loss=dict(type='CharbonnierLoss'),
            train_cfg=dict(tsa_iter=0),
            data_preprocessor=dict(type='DataPreprocessor'),
        )
    cfg = Config.fromfile(next((CHECKOUT / 'configs').rglob(f'{name}.py')))
    cfg.model.generator.update(small, spynet_pretrained=None)
    if name.startswith('iconvsr'):  # its EDVR has 64 channels
        cfg.model.generator.update(mid_channels=64, edvr_pretrained=None, keyframe_stride=2)
    cfg.model.train_cfg = dict(fix_iter=0)
    return cfg.model


@pytest.mark.parametrize(
    'name', ['basicvsr_reds', 'iconvsr_reds', 'basicvsr_pp_reds', 'edvr', 'tdan']
)
def test_baselines_train_and_test(name, not_compiled):
    init_default_scope('mmagic')
    torch.manual_seed(0)
    model = MODELS.build(baseline(name))
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='Adam', lr=1e-4)))
    frames, size = (2, 64) if name == 'basicvsr_pp_reds' else (5, 16)
    lq = torch.randint(256, (frames, 3, size, size))
    one = name in ('edvr', 'tdan')
    gt = torch.randint(256, (3, 4 * size, 4 * size) if one else (frames, 3, 4 * size, 4 * size))
    before = {name: value.clone() for name, value in model.named_parameters()}
    sample = DataSample(gt_img=gt)
    losses = model.train_step(dict(inputs=[lq], data_samples=[sample]), wrapper)
    assert all(torch.isfinite(loss).all() for loss in losses.values())
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert any('offset' in n for n in moved) == (name != 'basicvsr_reds')
    (found,) = model.test_step(dict(inputs=[lq], data_samples=[DataSample(gt_img=gt)]))
    assert found.output.pred_img.shape == gt.shape
    assert torch.isfinite(found.output.pred_img).all()


def test_an_operator_without_replacement_is_named(not_compiled):
    boxes = torch.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]])
    with pytest.raises(
        MissingOpError,
        match=rf'{__name__}, line \d+, calls roi_align_forward, .*not\. To compile it, .*mmcv==2\.',
    ):
        mmcv.ops.roi_align(torch.zeros(1, 1, 4, 4), boxes, (2, 2))


SCRIPT = """
import sys
{before}
import s2svr_mm
assert 'mmflow' not in sys.modules
from s2svr_mm.compat import mmcv_ops
import mmcv.ops, mmagic.models, mmagic.datasets, mmagic.engine, mmagic.evaluation
from mmagic.models.editors.edvr.edvr_net import modulated_deform_conv2d as of_edvr
from mmagic.models.editors.tdan.tdan_net import deform_conv2d as of_tdan
from mmengine.utils.dl_utils import mmcv_full_available
from s2svr_mm.compat import deform_conv
assert mmcv_full_available()  # its optimizers look for deformable convolutions then
assert of_edvr is deform_conv.modulated_deform_conv2d
assert of_tdan is deform_conv.deform_conv2d
print(repr(mmcv_ops.stand_in().reason), mmcv.ops.get_compiling_cuda_version())
"""


def run_script(before: str, overlay: Path) -> str:
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT.format(before=before)],
        capture_output=True,
        text=True,
        env={
            'PYTHONPATH': f'{overlay}:{CHECKOUT}',
            'PATH': '',
            'OMP_NUM_THREADS': '1',
            # Python 3.12 warns of mmagic's own docstrings where it compiles them first.
            'PYTHONWARNINGS': 'ignore::SyntaxWarning',
        },
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''
    return done.stdout


# As Python raises it for a library with a symbol that is not there.
FOREIGN = """
import importlib.abc
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == 'mmcv._ext':
            raise ImportError('_ext.so: undefined symbol: _ZN3c104cuda')
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    ('before', 'reason'),
    [
        # As in this process, unless there are compiled ones.
        pytest.param("sys.modules['mmcv._ext'] = None", '', marks=pytest.mark.slow),
        (FOREIGN, '_ext.so: undefined symbol: _ZN3c104cuda'),
    ],
    ids=['none there', 'built for another torch'],
)
def test_mmagic_imports_without_compiled_operators(before, reason, tmp_path):
    assert run_script(before, tmp_path) == f'{reason!r} not compiled\n'


def test_compiled_operators_are_preferred(monkeypatch):
    """They stay where they load; what is there is any module of that name."""
    compiled = type(sys)('mmcv._ext')
    monkeypatch.setitem(sys.modules, 'mmcv._ext', compiled)
    mmcv_ops.provide_ops()
    assert sys.modules['mmcv._ext'] is compiled
    assert mmcv_ops.stand_in() is None


def test_any_operator_can_be_had() -> None:
    operator: Callable = mmcv_ops.StandIn().upfirdn2d
    assert callable(operator)
    with pytest.raises(AttributeError):
        mmcv_ops.StandIn().__wrapped__  # noqa: B018
