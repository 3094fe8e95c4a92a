# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import copy

import pytest
import torch
from helpers.clips import moving_clip
from torch import nn
from torch.nn import functional

from benchmarks.reference_s2svr import ReferenceS2SVRNet
from s2svr_mm.models import S2SVRNet
from s2svr_mm.models.conversion import from_official
from s2svr_mm.ops import chunking
from s2svr_mm.ops.pixel_unshuffle import unshuffle


def both_forms(**kwargs) -> tuple[ReferenceS2SVRNet, S2SVRNet]:
    """The reference, its weights large enough to matter, and ours with the same weights."""
    torch.manual_seed(0)
    reference = ReferenceS2SVRNet(8, 2, **kwargs)
    for parameter in reference.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    kwargs = dict(kwargs)
    padding_mode = kwargs.pop('padding_mode', 'zeros')
    kwargs.setdefault('flow_input_size', (256, 256))
    flow_estimator = dict(type='PWCLite', padding_mode=padding_mode)
    ours = S2SVRNet(8, 2, flow_estimator=flow_estimator, **kwargs)
    ours.load_state_dict(from_official(reference.state_dict()))
    return reference, ours


@pytest.mark.parametrize(
    ('kwargs', 'shape'),
    [
        (dict(scale=4), (1, 3, 3, 33, 17)),
        (dict(scale=4), (2, 1, 3, 5, 7)),
        (dict(scale=2, num_layers=2), (2, 2, 3, 12, 30)),
        (dict(scale=1, num_layers=4), (1, 5, 3, 9, 64)),
        (dict(scale=1, num_layers=1), (1, 2, 3, 1, 1)),
        (dict(flow_input_size=None, padding_mode='border'), (1, 4, 3, 70, 66)),
    ],
)
def test_equals_the_reference(kwargs, shape):
    reference, ours = both_forms(**kwargs)
    lqs = torch.rand(shape)
    expected, found = reference(lqs), ours(lqs)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize('with_cp', [False, True])
def test_gradients_equal_the_reference(with_cp):
    reference, ours = both_forms(flow_input_size=None)
    ours.with_cp = with_cp
    lqs = torch.rand(1, 3, 3, 17, 30)
    gt = torch.rand(1, 3, 3, 68, 120)
    (reference(lqs) - gt).square().mean().backward()
    (ours(lqs) - gt).square().mean().backward()
    grads = {
        name: parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        for name, parameter in reference.named_parameters()
    }
    expected = from_official(grads)
    for name, parameter in ours.named_parameters():
        scale = expected[name].abs().max().clamp(min=1e-8)
        assert (parameter.grad - expected[name]).abs().max() <= 1e-3 * scale, name


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    return S2SVRNet(8, 1, 2, 2).eval()


def test_every_parameter_is_used(tiny):
    tiny(torch.rand(1, 2, 3, 8, 8)).sum().backward()
    assert [n for n, p in tiny.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ('width', 'scale', 'expected'), [(64, 4, 12_029_204 - 571_888), (48, 1, 7_430_599 - 332_160)]
)
def test_published_sizes(width, scale, expected):
    with torch.device('meta'):
        net = S2SVRNet(width, 13, 3, scale)
    assert sum(p.numel() for p in net.parameters()) == expected


def test_caller_sees_nothing_change(tiny):
    lqs = torch.rand(1, 3, 3, 8, 8)
    flows = tuple(flow.detach() for flow in tiny.compute_flow(lqs))
    before = copy.deepcopy((lqs, flows, tiny.state_dict()))
    tiny(lqs, flows)
    torch.testing.assert_close((lqs, flows, tiny.state_dict()), before, rtol=0, atol=0)


def test_layout_and_chunks_of_the_input_do_not_matter(tiny, monkeypatch):
    lqs = torch.rand(1, 12, 3, 10, 4).permute(0, 4, 2, 3, 1)
    expected = tiny(lqs.contiguous())
    torch.testing.assert_close(tiny(lqs), expected)
    monkeypatch.setattr(chunking, 'max_pixels', lambda _: 1)
    torch.testing.assert_close(tiny(lqs), expected)


def test_known_flows_are_used(tiny):
    lqs = torch.rand(1, 3, 3, 8, 8)
    torch.testing.assert_close(tiny(lqs, tiny.compute_flow(lqs)), tiny(lqs))
    zero = torch.zeros(1, 2, 2, 8, 8)
    assert not torch.equal(tiny(lqs, (zero + 2, zero + 2)), tiny(lqs, (zero, zero)))


def test_flow_directions():
    """flows_forward[:, i] lives on frame i + 1 and samples frame i, as mmagic's BasicVSRNet."""

    class Tells(nn.Module):
        def forward(self, ref, supp):
            return torch.cat((ref[:, :1], supp[:, :1]), 1)

    net = S2SVRNet(8, 1, 1, 1, flow_estimator=Tells())
    lqs = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(1, 4, 3, 2, 2)
    forward, backward = net.compute_flow(lqs)
    assert forward[0, :, :, 0, 0].tolist() == [[1, 0], [2, 1], [3, 2]]
    assert backward[0, :, :, 0, 0].tolist() == [[0, 1], [1, 2], [2, 3]]


def test_attention_radius_brings_in_farther_frames():
    lqs = torch.rand(1, 5, 3, 8, 8)
    reach = {}
    for radius in (0, 1, 2):
        torch.manual_seed(0)
        net = S2SVRNet(8, 1, 2, 1, attention_radius=radius).eval()
        encoded = [torch.zeros(1, 8, 8, 8, requires_grad=True) for _ in range(5)]
        samplers = [lambda x: x] * 4
        values, counts = net.decoder._neighbours(2, encoded, samplers, samplers)
        reach[radius] = [any(v is e for v in values) for e in encoded]
        assert sum(counts) == 2 * radius + 1
        assert net(lqs).isfinite().all()
    assert reach == {
        0: [False, False, True, False, False],
        1: [False, True, True, True, False],
        2: [True] * 5,
    }


def test_bfloat16_autocast_is_close(tiny):
    lqs = torch.rand(1, 3, 3, 24, 24)
    expected = tiny(lqs)
    with torch.autocast('cpu', torch.bfloat16):
        found = tiny(lqs)
    assert found.dtype == torch.float32
    assert 10 * torch.log10((found - expected).square().mean()) < -50


def test_checkpointing_keeps_less():
    """Counted in bytes that autograd saves, so nothing depends on an allocator."""
    lqs = torch.rand(1, 4, 3, 16, 16)
    saved = {}
    for with_cp in (False, True):
        torch.manual_seed(0)
        net = S2SVRNet(8, 4, 2, 2, with_cp=with_cp)
        sizes = {}

        def keep(x, sizes=sizes):
            sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            flows = net.compute_flow(lqs)
            sizes.clear()
            net(lqs, [flow.detach() for flow in flows])
        saved[with_cp] = sum(sizes.values())
    assert saved[True] < saved[False] / 2


@pytest.mark.parametrize('factor', [1, 2, 4])
def test_untrained_states_say_nothing_of_brightness_at_scale_1(factor):
    tiny = S2SVRNet(8, 1, 2, 1, frame_channels=3 * factor**2)
    frame = torch.tensor([0.2, 0.9, 0.5]).view(1, 3, 1, 1).expand(1, 3, 8 * factor, 8 * factor)
    frame = unshuffle(frame, factor)
    for layer in (tiny.encoder.forward_layer, tiny.encoder.backward_layer):
        assert layer.gru.input_gates(frame)[..., 1:-1, 1:-1].abs().max() < 1e-5
    read = tiny.decoder.feedback.convs[0](frame)
    assert read[..., 1:-1, 1:-1].abs().max() < 1e-5


def test_sharpening_is_learnt_within_a_few_steps():
    gt = torch.from_numpy(moving_clip(3, 48, 64)).permute(0, 3, 1, 2)[None] / 255
    blurred = functional.avg_pool2d(gt[0], 5, stride=1, padding=2, count_include_pad=False)[None]
    torch.manual_seed(0)
    net = S2SVRNet(16, 1, 2, scale=1, flow_estimator=dict(type='ZeroFlow'))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(20):
        loss = (net(blurred) - gt).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (net(blurred) - gt).abs().mean() < 0.75 * (blurred - gt).abs().mean()


@pytest.mark.parametrize(
    ('shape', 'dtype'),
    [
        ((1, 3, 8, 8), torch.float32),
        ((1, 2, 4, 8, 8), torch.float32),
        ((1, 0, 3, 8, 8), torch.float32),
        ((1, 2, 3, 8, 8), torch.uint8),
    ],
)
def test_what_is_no_clip_is_refused(tiny, shape, dtype):
    with pytest.raises(ValueError, match=r'\(n, t, 3, h, w\)'):
        tiny(torch.zeros(shape, dtype=dtype))


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(scale=3),
        dict(num_layers=0),
        dict(mid_channels=1),
        dict(attention_radius=-1),
        dict(flow_input_size=2),
    ],
)
def test_impossible_sizes_are_refused(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        S2SVRNet(**kwargs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_equals_cpu():
    _, ours = both_forms(flow_input_size=None)
    lqs = torch.rand(1, 3, 3, 33, 50)
    expected = ours(lqs)
    found = ours.cuda()(lqs.cuda()).cpu()
    assert (found - expected).abs().max() <= 1e-3 * expected.abs().max()
