# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner, set_random_seed

from s2svr_mm.errors import CheckpointError, ConfigError, NonFiniteError
from s2svr_mm.models.detail_branch import DetailBranch
from s2svr_mm.training.detail_branch import build_model, collect_details, train_details


def config(clips, load_from=None, **generator) -> Config:
    generator = dict(
        dict(type='S2SVRPlusNet', mid_channels=4, num_blocks=1, num_layers=2, scale=1),
        unshuffle=2,
        flow_estimator=dict(type='PWCLite'),
        **generator,
    )
    model = dict(
        type='S2SVR',
        generator=generator,
        pixel_loss=dict(type='CharbonnierLoss'),
        data_preprocessor=dict(type='DataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3),
    )
    keys = ['img', 'gt']
    pipeline = [
        dict(type='LoadClip'),
        dict(type='FixedCrop', keys=keys, crop_size=(32, 32)),
        dict(type='PackInputs'),
    ]
    dataset = dict(
        type='VideoClipDataset',
        data_root=str(clips),
        data_prefix=dict(img='lq', gt='gt'),
        num_input_frames=4,
        pipeline=pipeline,
    )
    sampler = dict(type='DefaultSampler', shuffle=True)
    loader = dict(batch_size=3, num_workers=0, sampler=sampler, dataset=dataset)
    return Config(dict(model=model, train_dataloader=loader, load_from=load_from))


BRANCH = dict(num_blocks=1, aligned=1, in_place=1)


def saved(tmp_path, clips, **generator) -> str:
    """A checkpoint of a network of random weights; its recurrence and its branch are heard."""
    set_random_seed(7)
    model = build_model(config(clips, **generator))
    for parameter in model.generator.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    path = tmp_path / 'saved.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return str(path)


def test_without_a_checkpoint_the_recurrence_is_silent(clip_pairs):
    model = build_model(config(clip_pairs(scale=1), detail_branch=BRANCH))
    frames = torch.rand(1, 3, 3, 32, 32)
    torch.testing.assert_close(model.generator(frames), frames)


def test_all_of_a_checkpoint_is_taken_on(clip_pairs, tmp_path):
    clips = clip_pairs(scale=1)
    path = saved(tmp_path, clips, detail_branch=BRANCH)
    model = build_model(config(clips, path, detail_branch=BRANCH))
    expected = torch.load(path, weights_only=True)['state_dict']
    assert expected
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, expected[key])


def test_a_branch_of_another_shape_is_begun_anew(clip_pairs, tmp_path):
    clips = clip_pairs(scale=1)
    path = saved(tmp_path, clips, detail_branch=dict(num_blocks=3))
    net = build_model(config(clips, path, detail_branch=BRANCH)).generator
    assert not net.details.last.weight.any()
    expected = torch.load(path, weights_only=True)['state_dict']
    for key, tensor in net.decoder.state_dict().items():
        torch.testing.assert_close(tensor, expected[f'generator.decoder.{key}'])


def test_what_does_not_go_is_refused(clip_pairs, tmp_path):
    clips = clip_pairs(scale=1)
    with pytest.raises(ConfigError, match='detail_branch'):
        build_model(config(clips))
    state = build_model(config(clips, detail_branch=BRANCH)).state_dict()
    del state['generator.encoder.forward_layer.gru.input_gates.weight']
    torch.save(dict(state_dict=state), tmp_path / 'torn.pth')
    with pytest.raises(CheckpointError, match='input_gates'):
        build_model(config(clips, str(tmp_path / 'torn.pth'), detail_branch=BRANCH))


def test_it_collects_what_the_branch_sees_and_misses(clip_pairs):
    cfg = config(clip_pairs(scale=1), detail_branch=BRANCH)
    model = build_model(cfg)
    # More clips than one pass over the data has.
    collected = collect_details(model, cfg.train_dataloader, 5)
    assert len(collected) == 5
    for seen, residuals in collected:
        assert seen.shape == (4, 60, 16, 16)
        assert residuals.shape == (4, 12, 16, 16)
        assert residuals.abs().max() > 0.02


@pytest.mark.parametrize('known', [False, True])
def test_the_residuals_are_what_the_rest_leaves(clip_pairs, tmp_path, monkeypatch, known):
    """With them in the place of the branch's, the network restores the truth.

    The last frame, that is: it is the first that the decoder restores, and what it restores it
    feeds back.
    """
    clips = clip_pairs(scale=1)
    branch = BRANCH if known else dict(num_blocks=3)
    path = saved(tmp_path, clips, detail_branch=branch)
    cfg = config(clips, path, detail_branch=BRANCH, brightness_window=5)
    model = build_model(cfg)
    net = model.generator
    batch = next(iter(Runner.build_dataloader(dict(cfg.train_dataloader, batch_size=1))))
    monkeypatch.setattr(Runner, 'build_dataloader', lambda cfg: [batch])
    [(_, residuals)] = collect_details(model, cfg.train_dataloader, 1)
    assert net.brightness_window == 5
    net.brightness_window = None
    data = model.data_preprocessor(batch, training=True)
    truth = data['data_samples'].gt_img[0]
    before = net(data['inputs'])[0, -1]
    net.details.residual = lambda seen: residuals[-1:].float()
    after = net(data['inputs'])[0, -1]
    assert (before - truth[-1]).abs().max() > 0.05
    torch.testing.assert_close(after, truth[-1], atol=5e-3, rtol=0)


def test_training_finds_what_lies_in_a_neighbour():
    """The truth is the mean of a frame and a neighbour: half the difference that is seen."""
    torch.manual_seed(0)
    branch = DetailBranch(8, 1, unshuffle=1, aligned=1)

    def clip():
        seen = 0.5 * torch.randn(4, 9, 20, 20)
        return seen.half(), (seen[:, 3:6] / 40).half()

    options = dict(lr=5e-3, patch=12, ema_momentum=0.05)
    log = list(train_details(branch, [clip() for _ in range(4)], 250, **options))
    assert [step for step, _ in log] == [100, 200, 250]
    assert log[0][1] < log[-1][1]
    seen, residuals = (x.float() for x in clip())
    with torch.inference_mode():
        error = (branch.residual(seen) - residuals).square().mean() / residuals.square().mean()
    assert error < 0.3


def test_training_stops_where_an_error_is_not_finite():
    branch = DetailBranch(8, 1)
    seen, residuals = torch.zeros(1, 9, 20, 20), torch.full((1, 3, 20, 20), torch.nan)
    with pytest.raises(NonFiniteError, match=r'stopped at step 1: .* nan\. No weights .* 0\.002'):
        list(train_details(branch, [(seen, residuals)], 5, lr=2e-3))
    assert all(parameter.isfinite().all() for parameter in branch.parameters())
