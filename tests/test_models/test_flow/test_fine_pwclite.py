# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import itertools

import pytest
import torch
from helpers.clips import moving_clip
from mmagic.registry import MODELS
from mmagic.utils import register_all_modules

from s2svr_mm.models.flow import FinePWCLite, PWCLite, neighbour_flows
from s2svr_mm.utils.profiling import count_macs

TRAINED = dict(
    type='PWCLite',
    normalize_features=True,
    init_cfg=dict(type='Pretrained', checkpoint='s2svr://flow_teacher', prefix='coarse'),
)


def fine(scale=0.02, **options):
    """An estimator whose decoders add a little to the flow, as trained ones do."""
    register_all_modules()
    torch.manual_seed(0)
    estimator = MODELS.build(dict(type='FinePWCLite', coarse=TRAINED, **options))
    estimator.init_weights()
    for decoder in (estimator.at_half, estimator.at_full):
        torch.nn.init.normal_(decoder.predict.weight, std=scale)
    return estimator.eval()


def moved(shift, size):
    """A pair of textured frames, the second moved by ``shift``."""
    clip = torch.from_numpy(moving_clip(2, size, size, shift, 0.0)).permute(0, 3, 1, 2) / 255
    return clip.split(1)


@pytest.mark.parametrize(
    'steps', [{}, dict(enlarged_windows=()), dict(windows=(9, 9), enlarged_windows=(9,))]
)
@pytest.mark.parametrize('length', [0.1, 0.7, 1.6, 2.5, 3.7])
def test_a_translation_is_recovered(length, steps):
    """With trained coarse levels the least-squares steps alone find the fraction of a pixel."""
    estimator = fine(scale=0, **steps)
    shift = (length * 0.8, -length * 0.6)
    with torch.no_grad():
        flow = estimator(*moved(shift, 96))
    error = (flow - torch.tensor(shift).view(1, 2, 1, 1))[..., 12:-12, 12:-12].norm(dim=1)
    assert error.mean() < 0.05


def test_it_costs_little_more_than_pwclite():
    estimator = fine()
    coarse = PWCLite()
    added = [sum(p.numel() for p in module.parameters()) for module in (estimator, coarse)]
    assert added[0] - added[1] < 0.3e6
    ref, supp = torch.rand(2, 1, 3, 128, 192)
    with torch.no_grad():
        macs = [count_macs(lambda net=net: net(ref, supp)) for net in (estimator, coarse)]
    assert macs[0] < 2 * macs[1]


def test_coarse_levels_are_those_of_the_checkpoint():
    estimator = fine()
    coarse = MODELS.build(TRAINED)
    coarse.init_weights()
    torch.testing.assert_close(estimator.coarse.state_dict(), coarse.state_dict(), rtol=0, atol=0)
    ref, supp = torch.rand(2, 1, 3, 70, 90)
    with torch.no_grad():
        pyramid = estimator.flow_pyramid(ref, supp)
        expected = coarse.flow_pyramid(ref, supp)
    assert [tuple(flow.shape[-2:]) for flow in pyramid[:3]] == [(70, 90), (70, 90), (35, 45)]
    for found, flow in zip(pyramid[3:], expected, strict=True):
        torch.testing.assert_close(found, flow)


@pytest.mark.parametrize('size', [(1, 1), (3, 5), (33, 50), (64, 64)])
def test_any_size_in_any_way_it_is_asked(size):
    estimator = fine()
    frames = list(torch.rand(3, 2, 3, *size))
    with torch.no_grad():
        flow = estimator(frames[0], frames[1])
        on_first, on_second = estimator.flow_pyramids(frames[0], frames[1])
        forwards, backwards = neighbour_flows(estimator, frames)
        alone = estimator(frames[0][:1], frames[1][:1])
    assert flow.shape == (2, 2, *size)
    assert flow.dtype == torch.float32
    assert flow.isfinite().all()
    close = dict(rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(alone, flow[:1], **close)
    torch.testing.assert_close(on_first[0], flow, **close)
    torch.testing.assert_close(backwards[0], flow, **close)
    torch.testing.assert_close(on_second[0], forwards[0], **close)


def test_bfloat16_is_close():
    estimator = fine()
    clip = torch.from_numpy(moving_clip(2, 96, 128, (1.5, -0.7))).permute(0, 3, 1, 2) / 255
    ref, supp = (frame.contiguous(memory_format=torch.channels_last) for frame in clip.split(1))
    with torch.no_grad():
        plain = estimator(ref, supp)
        with torch.autocast('cpu', torch.bfloat16):
            half = estimator(ref, supp)
    assert half.dtype == torch.float32
    assert (plain - half).norm(dim=1).mean() < 0.05


def test_gradients_reach_every_weight_and_are_finite_on_constant_frames():
    estimator = fine().train()
    textured = torch.rand(2, 2, 3, 48, 64)
    for ref, supp in (textured, torch.full_like(textured, 0.5)):
        estimator.zero_grad()
        sum(flow.abs().mean() for flow in estimator.flow_pyramid(ref, supp)).backward()
        gradients = {name: p.grad for name, p in estimator.named_parameters()}
        assert all(g is not None and g.isfinite().all() for g in gradients.values())
    estimator.zero_grad()
    sum(flow.sum() for flow in estimator.flow_pyramid(*textured)).backward()
    # (At 1/64 of such a size a feature is the mean that is taken off it.)
    fine_ones = {k: p for k, p in estimator.named_parameters() if not k.startswith('coarse')}
    assert all(p.grad.abs().max() > 0 for p in fine_ones.values())


def test_slimmer_coarse_levels_pay_for_the_fine_ones():
    """Without the context network at 1/4 the same weights take 30 % less arithmetic."""
    register_all_modules()
    ref, supp = torch.rand(2, 1, 3, 128, 192)
    macs = []
    for levels in (5, 4):
        slim = MODELS.build(TRAINED | dict(context_levels=levels))
        slim.init_weights()
        with torch.no_grad():
            macs.append(count_macs(lambda net=slim: net(ref, supp)))
    assert macs[1] == pytest.approx(0.7 * macs[0], rel=0.02)
    with pytest.raises(ValueError, match='context_levels must be from 1 to 5, but got 0'):
        PWCLite(context_levels=0)


def test_saved_and_loaded_as_a_whole(tmp_path):
    estimator = fine()
    path = tmp_path / 'fine.pth'
    torch.save(dict(state_dict=estimator.state_dict()), path)
    again = MODELS.build(
        dict(type='FinePWCLite', init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    )
    again.init_weights()
    torch.testing.assert_close(again.state_dict(), estimator.state_dict(), rtol=0, atol=0)


def test_windows_of_nothing_leave_the_steps_out():
    ref, supp = moved((1.3, 0.4), 48)
    flows = []
    for windows in itertools.product((0, 9), repeat=2):
        with torch.no_grad():
            flows.append(fine(scale=0, windows=windows)(ref, supp))
    assert len({float(flow.sum()) for flow in flows}) == 4


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r'at least two windows.* windows=\(9,\)'):
        FinePWCLite(windows=(9,))
    with pytest.raises(ValueError, match=r'as many channels as dilations.* dilations=\(1, 2\)'):
        FinePWCLite(dilations=(1, 2))
