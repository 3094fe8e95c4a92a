# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from torch import nn
from torch.nn import functional

from s2svr_mm.models import S2SVRPlusNet
from s2svr_mm.models.detail_branch import DetailBranch
from s2svr_mm.ops.pixel_unshuffle import unshuffle


def with_details(unshuffle=1, with_cp=False, **branch) -> S2SVRPlusNet:
    """A network whose branch beside the recurrence says something."""
    torch.manual_seed(0)
    branch.setdefault('num_blocks', 1)
    flow = dict(type='ZeroFlow')
    kwargs = dict(unshuffle=unshuffle, with_cp=with_cp, flow_estimator=flow)
    net = S2SVRPlusNet(8, 1, 2, 1, detail_branch=branch, **kwargs)
    nn.init.normal_(net.details.last.weight, std=0.1)
    return net


@pytest.mark.parametrize('factor', [1, 2])
def test_it_starts_at_nothing(factor):
    branch = dict(num_blocks=2, aligned=2, in_place=1)
    net = S2SVRPlusNet(8, 1, 2, 1, unshuffle=factor, detail_branch=branch)
    without = S2SVRPlusNet(8, 1, 2, 1, unshuffle=factor)
    missing = without.load_state_dict(net.state_dict(), strict=False).unexpected_keys
    assert {key.split('.')[0] for key in missing} == {'details'}
    lqs = torch.rand(1, 3, 3, 17, 30)
    torch.testing.assert_close(net(lqs), without(lqs), rtol=0, atol=0)
    net(lqs).sum().backward()
    assert net.details.last.weight.grad.abs().sum() > 0


def moving(count: int) -> tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
    """A smooth scene that moves by (3, 1) pixels a frame, and its flows, both ways."""
    torch.manual_seed(0)
    scene = functional.interpolate(torch.rand(1, 3, 24, 24), size=(96, 96), mode='bicubic')
    frames = [scene[..., 1 * i : 1 * i + 64, 3 * i : 3 * i + 64] for i in range(count)]
    # What lies at p in a frame lies at p - (3, 1) in the one after it.
    step = torch.tensor([3.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 64, 64)
    return frames, [step] * (count - 1), [-step] * (count - 1)


@pytest.mark.parametrize('factor', [1, 2])
def test_what_it_sees(factor):
    branch = DetailBranch(8, 1, factor, aligned=2, in_place=3)
    frames, forward, backward = moving(7)
    seen = functional.pixel_shuffle(branch.seen(2, frames, forward, backward), factor)
    assert seen.shape == (1, 33, 64, 64)
    inner = (..., slice(20, 44), slice(20, 44))
    detail, *differences = seen[inner].split(3, dim=1)
    mean = functional.conv2d(frames[2], torch.full((3, 1, 9, 9), 1 / 81), groups=3, padding=4)
    torch.testing.assert_close(detail, 10 * (frames[2] - mean)[inner], rtol=0, atol=1e-5)
    # Along the flow all show the same; as they lie, each differs by what moved.
    for aligned in differences[:4]:
        assert aligned.abs().max() < 0.02
    for difference, j in zip(differences[4:], (1, 3, 0, 4, None, 5), strict=True):
        expected = 0 * frames[2] if j is None else 6 * (frames[j] - frames[2])
        torch.testing.assert_close(difference, expected[inner], rtol=0, atol=1e-5)
        assert j is None or difference.abs().mean() > 0.15


def test_flows_to_farther_neighbours_are_refined():
    """Each flow is off by half a pixel; what lies two frames away, by much less than a pixel."""
    branch = DetailBranch(8, 1, aligned=2)
    frames, forward, backward = moving(5)
    forward = [flow + torch.tensor([0.5, 0.0]).view(1, 2, 1, 1) for flow in forward]
    seen = branch.seen(2, frames, forward, backward)[..., 20:44, 20:44]
    near, far = seen[:, 3:6].abs().mean(), seen[:, 9:12].abs().mean()
    assert far < 0.5 * near


@pytest.mark.parametrize('shape', [(1, 1, 3, 1, 1), (2, 3, 3, 13, 18)])
def test_clips_of_any_size(shape):
    net = with_details(unshuffle=4, aligned=2, in_place=2)
    lqs = torch.rand(shape)
    assert net(lqs).shape == lqs.shape
    assert net(lqs).isfinite().all()


@pytest.mark.parametrize('factor', [1, 2])
def test_its_residual_joins_that_of_the_recurrence(factor):
    net = with_details(unshuffle=factor, aligned=1, in_place=1)
    for p in net.decoder.output.parameters():
        nn.init.zeros_(p)
    frames, forward, backward = moving(3)
    flows = torch.stack(forward, 1), torch.stack(backward, 1)
    restored = net(torch.stack(frames, 1), flows)
    for i in range(3):
        residual = net.details(i, frames, forward, backward)
        expected = unshuffle(frames[i], factor) + residual
        torch.testing.assert_close(unshuffle(restored[:, i], factor), expected)
        assert residual.abs().mean() > 0.05


def test_under_checkpointing_gradients_are_the_same():
    lqs = torch.rand(1, 3, 3, 12, 14)
    grads = []
    for with_cp in (False, True):
        net = with_details(with_cp=with_cp, aligned=2)
        net(lqs).square().mean().backward()
        grads.append({name: p.grad for name, p in net.named_parameters() if p.grad is not None})
    assert 'details.first.weight' in grads[0]
    torch.testing.assert_close(*grads)


def test_noise_is_averaged_out_within_a_few_steps():
    """Three frames that differ by their noise alone; their mean has a third of the error."""
    ratio = []
    for branch in (dict(num_blocks=0), None):
        torch.manual_seed(0)
        net = S2SVRPlusNet(16, 1, 2, 1, detail_branch=branch, flow_estimator=dict(type='ZeroFlow'))
        optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
        for _ in range(40):
            gt = functional.interpolate(torch.rand(1, 3, 8, 8), size=(32, 32), mode='bicubic')
            gt = gt[:, None].expand(1, 3, 3, 32, 32)
            noisy = gt + 0.03 * torch.randn(gt.shape)
            loss = (net(noisy) - gt).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        ratio.append(loss.item() / (noisy - gt).square().mean().item())
    # Measured: 0.56, and 0.99 without the branch.
    assert ratio[0] < 0.75
    assert ratio[1] > 0.9


def test_what_is_not_possible_is_refused():
    with pytest.raises(ValueError, match='detail_branch'):
        S2SVRPlusNet(8, 1, 2, scale=2, detail_branch=dict(num_blocks=1))
    for name in ('num_blocks', 'aligned', 'in_place'):
        with pytest.raises(ValueError, match=name):
            DetailBranch(8, **{'num_blocks': 1, name: -1})
