# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from torch import nn
from torch.nn import functional

from s2svr_mm.errors import ConfigError
from s2svr_mm.models import S2SVRPlusNet
from s2svr_mm.utils.profiling import count_macs


def test_flow_input_size_may_be_a_factor():
    torch.manual_seed(0)
    net = S2SVRPlusNet(8, 0, 1, flow_input_size=2)
    for parameter in net.flow_estimator.parameters():
        nn.init.normal_(parameter, std=0.05)
    clip = torch.rand(1, 3, 3, 19, 30)
    found = net.compute_flow(clip)
    net.flow_input_size = (38, 60)
    expected = net.compute_flow(clip)
    net.flow_input_size = None
    own_size = net.compute_flow(clip)
    for factor, size, own in zip(found, expected, own_size, strict=True):
        assert factor.shape == (1, 2, 2, 19, 30)
        assert torch.equal(factor, size)
        assert not torch.allclose(factor, own, rtol=0.01)


@pytest.mark.parametrize('factor', [2, 4])
def test_unshuffled_frames_come_out_at_their_own_size(factor):
    torch.manual_seed(0)
    net = S2SVRPlusNet(8, 1, 2, 1, unshuffle=factor)
    lqs = torch.rand(2, 3, 3, 33, 46)
    padded = functional.pad(
        lqs.flatten(0, 1), (0, -46 % factor, 0, -33 % factor), mode='replicate'
    ).unflatten(0, (2, 3))
    flows = tuple(torch.full((2, 2, 2, *size), 1.5) for size in [(33, 46)] * 2)
    padded_flows = tuple(torch.full((2, 2, 2, *padded.shape[-2:]), 1.5) for _ in flows)
    restored = net(lqs, flows)
    assert restored.shape == lqs.shape
    torch.testing.assert_close(restored, net(padded, padded_flows)[..., :33, :46])
    nn.init.constant_(net.decoder.output.convs[-1].bias, 0.25)
    nn.init.zeros_(net.decoder.output.convs[-1].weight)
    torch.testing.assert_close(net(lqs), lqs + 0.25)


def test_unshuffled_states_follow_the_flow_of_the_frames():
    torch.manual_seed(0)
    net = S2SVRPlusNet(8, 1, 2, 1, unshuffle=2)
    scene = torch.rand(1, 3, 64, 64)
    # Content moves by four pixels to the left and six up. Aligned by that, the earlier frame is as
    # good as a copy of the later one.
    still = torch.stack([scene[..., 6:38, 4:36]] * 2, 1)
    moving = torch.stack([scene[..., :32, :32], scene[..., 6:38, 4:36]], 1)

    def restore(clip, x, y):
        flow = torch.tensor([x, y], dtype=torch.float32).view(1, 1, 2, 1, 1)
        flow = flow.expand(1, 1, 2, 32, 32)
        return net(clip, (-flow, flow)) - clip

    expected = restore(still, 0, 0)
    aligned = (restore(moving, -4, -6) - expected)[:, 1, :, 8:24, 8:24].abs().mean()
    astray = (restore(moving, 0, 0) - expected)[:, 1, :, 8:24, 8:24].abs().mean()
    # What the border does is left.
    assert aligned < 0.3 * astray


@pytest.mark.parametrize('factor', [2, 4])
def test_unshuffling_refuses_to_enlarge(factor):
    with pytest.raises(ValueError, match='unshuffle'):
        S2SVRPlusNet(8, 1, 2, scale=4, unshuffle=factor)


def test_refined_flow_finds_the_fraction_of_a_pixel_both_ways():
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing='ij')
    # Each frame shows the one before moved by (0.4, -0.2).
    places = [(y + 0.2 * i, x - 0.4 * i) for i in range(3)]
    waves = [(0.35 * x + 0.2 * y, 0.25 * y - 0.3 * x, 0.4 * y + 1.5) for y, x in places]
    clip = 0.5 + 0.2 * torch.stack([torch.stack(frame).sin() for frame in waves])[None]
    net = S2SVRPlusNet(8, 1, 2, flow_estimator=dict(type='ZeroFlow'), refine_flow=True)
    for found, sign in zip(net.compute_flow(clip), (-1, 1), strict=True):
        assert found.shape == (1, 2, 2, 48, 48)
        true = sign * torch.tensor([0.4, -0.2]).view(2, 1, 1)
        # The default damping leaves less than half of what was missing.
        error = (found - true)[..., 12:36, 12:36].norm(dim=2).mean()
        assert error < 0.5 * true.norm()


@pytest.mark.parametrize('scale', [1, 2, 4])
def test_slim_heads(scale):
    torch.manual_seed(0)
    net = S2SVRPlusNet(32, 1, 2, scale, slim_heads=True, flow_estimator=dict(type='ZeroFlow'))
    lqs = torch.rand(1, 3, 3, 17, 22)
    restored = net(lqs)
    enlarged = functional.interpolate(
        lqs[0], scale_factor=scale, mode='bilinear', align_corners=False
    )
    assert restored.shape == (1, 3, 3, 17 * scale, 22 * scale)
    # It starts near the input, what it adds depends on the frames restored before, and the
    # gradient reaches all of it.
    assert (restored[0] - enlarged).abs().max() < 0.2
    restored.square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.decoder.parameters())
    with torch.no_grad():
        whole = net(lqs)
        nn.init.zeros_(net.decoder.feedback.conv.weight)
        cut = net(lqs)
    torch.testing.assert_close(cut[:, -1], whole[:, -1])
    assert not torch.allclose(cut[:, 0], whole[:, 0])


def test_slim_heads_cost_less():
    def macs(scale, **kwargs):
        net = S2SVRPlusNet(32, 2, 2, scale, flow_estimator=dict(type='ZeroFlow'), **kwargs)
        return count_macs(lambda: net(torch.zeros(1, 1, 3, 18, 32)))

    # The feedback of the first frame does not run: only the output head differs here.
    assert macs(4) - macs(4, slim_heads=True) == 18 * 32 * 9 * (
        32 * 128 + 128 * 64 + 64 * 48 - 32 * 64 - 64 * 48
    )


@pytest.mark.parametrize(
    'options',
    [
        dict(scale=1, unshuffle=2, detail_branch=dict(num_blocks=1)),
        dict(scale=2, slim_heads=True),
        dict(scale=4),
    ],
)
def test_brightness_stays_where_it_is_asked_to(options):
    torch.manual_seed(0)
    net = S2SVRPlusNet(
        8, 1, 2, flow_estimator=dict(type='ZeroFlow'), brightness_window=9, **options
    )
    with torch.no_grad():
        net.decoder.output.convs[-1].bias.fill_(0.1)
    lqs = torch.full((1, 3, 3, 17, 22), 0.4)
    lqs[:, 1] = 0.6
    assert (net(lqs).mean((3, 4)) - lqs.mean((3, 4))).abs().max() < 0.002
    net.brightness_window = None
    assert (net(lqs).mean((3, 4)) - lqs.mean((3, 4))).abs().min() > 0.05


@pytest.mark.parametrize('window', [0, 4, -3])
def test_brightness_window_is_odd(window):
    with pytest.raises(ConfigError, match='brightness_window must be odd and'):
        S2SVRPlusNet(8, 1, 2, brightness_window=window)
