# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from helpers.clips import moving_clip
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmagic.utils import register_all_modules

from s2svr_mm.models.flow.unsupervised import flow_at

CENSUS = dict(type='PhotometricLoss', l1_weight=0.0, ssim_weight=0.0, census_weight=1.0)
SMOOTH = dict(type='EdgeAwareSmoothnessLoss')


def build(seed=0, estimator='PWCLite', **kwargs):
    register_all_modules()
    torch.manual_seed(seed)
    estimator = dict(type=estimator)
    if estimator['type'] == 'PWCLite':
        estimator['normalize_features'] = True
    model = MODELS.build(dict(type='UnsupervisedFlow', estimator=estimator, **kwargs))
    model.init_weights()
    return model.train()


@pytest.fixture
def clip():
    def make(t=2, size=64, shift=(2.0, -1.0), seed=0):
        frames = moving_clip(t, size, size, shift, degrees=0.0, seed=seed)
        return torch.from_numpy(frames).permute(0, 3, 1, 2)[None].float() / 255

    return make


def train(model, inputs, steps, lr=5e-4, rise=30, enough=None):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    history = []
    for step in range(steps):
        optimizer.param_groups[0]['lr'] = lr * min(1, (step + 1) / rise)
        losses = model(inputs, mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        gradients = [p.grad for p in model.estimator.parameters() if p.grad is not None]
        assert all(gradient.isfinite().all() for gradient in gradients), (step, losses)
        optimizer.step()
        history.append({name: loss.item() for name, loss in losses.items()})
        if enough and step % 5 == 4 and enough():
            break
    return history


@pytest.mark.slow
def test_learns_a_known_translation_from_photometry_alone(clip):
    model = build(photometric_loss=CENSUS, smoothness_loss=SMOOTH)
    inputs = clip()
    shift = torch.tensor((2.0, -1.0)).view(1, 2, 1, 1)
    with torch.no_grad():
        assert model(inputs).eq(0).all()
    inner = (..., slice(8, -8), slice(8, -8))

    def error():
        with torch.no_grad():
            forward, backward = model(inputs), model(inputs.flip(1))
        errors = (forward - shift).norm(dim=1)[inner], (backward + shift).norm(dim=1)[inner]
        return max(e.mean().item() for e in errors)

    assert error() > 2
    train(model, inputs, 60, enough=lambda: error() < 0.3)
    assert error() < 0.3


@pytest.mark.parametrize('seed', range(4))
def test_from_scratch_nothing_becomes_nan(seed, clip):
    """With the check of hidden pixels from the first step and a rate that is far too high."""
    model = build(seed, photometric_loss=CENSUS, smoothness_loss=SMOOTH)
    history = train(model, clip(size=32, shift=(9.0, 7.0), seed=seed), 4, lr=1e-2, rise=1)
    # A mask that hides everything would make the loss 0.
    assert all(0.01 < losses['loss_photometric'] < 100 for losses in history)


@pytest.mark.parametrize('kind', ['identical', 'constant', 'black', 'tiny'])
def test_frames_without_motion_or_texture(kind):
    model = build(
        photometric_loss=dict(type='PhotometricLoss', census_weight=1.0), smoothness_loss=SMOOTH
    )
    size = (7, 5) if kind == 'tiny' else (32, 32)
    frame = torch.rand(1, 1, 3, *size)
    if kind in ('constant', 'black'):
        frame = torch.full_like(frame, 0.4 if kind == 'constant' else 0.0)
    inputs = frame.expand(1, 2, 3, *size).contiguous()
    with torch.no_grad():
        assert model(inputs).eq(0).all()
    losses = train(model, inputs, 2, lr=1e-5)
    assert losses[0]['loss_photometric'] == pytest.approx(0, abs=1e-5)
    with torch.no_grad():
        assert model(inputs).norm(dim=1).max() < 0.1


def test_stages_follow_one_another(clip):
    model = build(
        known_warps=dict(type='KnownWarps', max_motion=4.0, grow_iters=2),
        photometric_loss=CENSUS,
        train_cfg=dict(warp_iters=2, occlusion_begin=3),
    )
    history = train(model, clip(size=32), 4, lr=1e-4)
    assert [set(losses) for losses in history] == [
        *[{'loss_warp'}] * 2,
        *[{'loss_photometric'}] * 2,
    ]


def test_known_warps_alone_teach(monkeypatch, clip):
    """One pair, made once: the flow comes near the field that made it."""
    model = build(known_warps=dict(type='KnownWarps', max_motion=4.0, max_layers=1))
    ref, supp, flow = model.known_warps(clip(size=40)[:, 0], 0)
    monkeypatch.setattr(model.known_warps, 'forward', lambda frames, iteration: (ref, supp, flow))

    def error():
        with torch.no_grad():
            return (model.estimator(ref, supp) - flow).norm(dim=1).mean().item()

    before = error()
    train(model, clip(size=40), 80, enough=lambda: error() < 0.4 * before)
    assert error() < 0.4 * before


def test_flow_that_comes_with_the_data_teaches(clip):
    """Instead of all else; and photometry does without it where ``warp_loss`` is None."""
    inputs, shift = clip(), torch.tensor((2.0, -1.0)).view(1, 2, 1, 1)
    samples = DataSample(gt_flow=shift.expand(1, 2, 64, 64))
    model = build(photometric_loss=CENSUS, smoothness_loss=SMOOTH)
    losses = model(inputs, samples, mode='loss')
    assert set(losses) == {'loss_warp'}
    # An untrained network says that nothing moves, at every level.
    loss = MODELS.build(dict(type='FlowDistillLoss'))
    levels = model.estimator.flow_pyramid(inputs[:, 0], inputs[:, 1])
    distances = [loss(torch.zeros_like(level), samples.gt_flow).item() for level in levels]
    expected = sum(distances) / len(distances)
    assert losses['loss_warp'].item() == pytest.approx(expected, rel=1e-5)
    model = build(photometric_loss=CENSUS, warp_loss=None)
    assert set(model(inputs, samples, mode='loss')) == {'loss_photometric'}


def test_hidden_pixels_count_only_before_the_check(monkeypatch, clip):
    from s2svr_mm.models.flow import unsupervised

    calls = []

    def count(flow, back):
        calls.append(1)
        return torch.ones_like(flow[:, :1])

    monkeypatch.setattr(unsupervised, 'visible_mask', count)
    model = build(photometric_loss=CENSUS, train_cfg=dict(occlusion_begin=1))
    model(clip(size=32), mode='loss')
    assert not calls
    model(clip(size=32), mode='loss')
    assert len(calls) == 8  # four levels, both directions


def test_a_mask_that_hides_nearly_all_is_not_believed(monkeypatch):
    from s2svr_mm.models.flow import unsupervised

    monkeypatch.setattr(unsupervised, 'visible_mask', lambda f, b: torch.zeros_like(f[:, :1]))
    flow = torch.zeros(2, 2, 8, 10)
    flow[0, 0] = 5  # half of the frame leaves
    flow[1, 0] = 100  # all of it
    counted = unsupervised._counted(flow, -flow, checked=True)
    assert counted[0].mean() == 0.5
    assert counted[1].mean() == 1


def test_levels_of_both_directions_are_those_of_one():
    model = build(photometric_loss=CENSUS)
    torch.nn.init.normal_(model.estimator.decoder.predict.weight, std=1e-2)
    first, second = torch.rand(2, 2, 3, 50, 70)
    with torch.no_grad():
        forwards, backwards = model.estimator.flow_pyramids(first, second)
        torch.testing.assert_close(forwards, model.estimator.flow_pyramid(first, second))
        torch.testing.assert_close(backwards[0], model.estimator(second, first))
    sizes = [tuple(flow.shape[2:]) for flow in forwards]
    assert sizes == [(50, 70), (25, 35), (13, 18), (7, 9), (4, 5)]


def test_estimator_without_levels(clip):
    model = build(estimator='SPyNet', photometric_loss=CENSUS, smoothness_loss=SMOOTH)
    losses = model(clip(size=32), mode='loss')
    sum(losses.values()).backward()
    assert next(model.estimator.parameters()).grad.isfinite().all()


def test_prediction_has_the_size_of_the_true_flow(clip):
    model = build(photometric_loss=CENSUS).eval()
    torch.nn.init.normal_(model.estimator.decoder.predict.weight, std=1e-2)
    inputs = clip(size=16)
    samples = DataSample.stack([DataSample(gt_flow=torch.zeros(2, 66, 64))])
    with torch.no_grad():
        (sample,) = model(inputs, samples, mode='predict')
        flow = model(inputs)
    assert sample.output.pred_flow.shape == (2, 66, 64)
    torch.testing.assert_close(sample.output.pred_flow[:, :64], flow_at(flow, (64, 64))[0])
    assert flow_at(torch.ones(1, 2, 4, 4), (17, 16)).eq(4).all()


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(), 'No loss is configured'),
        (dict(photometric_loss=CENSUS, train_cfg=dict(warp_iters=3)), 'needs known_warps'),
        (dict(known_warps=dict(type='KnownWarps'), warp_loss=None), 'needs a warp_loss'),
        (dict(photometric_loss=CENSUS, train_cfg=dict(warmup=3)), r"got \['warmup'\]"),
    ],
)
def test_wrong_config_is_named(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs)


def test_clips_of_one_frame_are_named():
    with pytest.raises(ValueError, match='at least 2 frames'):
        build(photometric_loss=CENSUS)(torch.rand(1, 1, 3, 8, 8), mode='loss')
