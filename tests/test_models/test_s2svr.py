# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import copy
import socket
from itertools import pairwise

import pytest
import torch
import torch.multiprocessing as mp
from helpers import tiny_flow  # noqa: F401
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmagic.utils import register_all_modules
from mmengine.logging import MessageHub
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper

from s2svr_mm.models.s2svr import centre_frame


def build(scale=1, flow='TinyFlow', **kwargs):
    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='S2SVR',
            generator=dict(
                type='S2SVRNet',
                mid_channels=4,
                num_blocks=1,
                scale=scale,
                flow_estimator=dict(type=flow),
            ),
            pixel_loss=dict(type='CharbonnierLoss', loss_weight=1.0, reduction='mean'),
            data_preprocessor=dict(type='DataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3),
            **kwargs,
        )
    )
    # An untrained flow is exactly zero; a little off, all of its layers get gradients.
    torch.nn.init.normal_(model.generator.flow_estimator.decoder.predict.weight, std=1e-3)
    return model


def batch(n=1, t=3, size=(16, 20), scale=1, gt_frames=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    h, w = size

    def frames(t, h, w):
        return torch.randint(0, 256, (t, 3, h, w), generator=generator, dtype=torch.uint8)

    inputs = [frames(t, h, w) for _ in range(n)]
    gts = [frames(gt_frames or t, h * scale, w * scale) for _ in range(n)]
    if gt_frames == 1:
        gts = [gt[0] for gt in gts]
    return dict(inputs=inputs, data_samples=[DataSample(gt_img=gt) for gt in gts])


def train(model, steps, fix_flow_lr=None):
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=0.0))
    flow = model.generator.flow_estimator
    changes = []
    for step in range(steps):
        before = copy.deepcopy(flow.state_dict())
        model.train_step(batch(seed=step), wrapper)
        after = flow.state_dict()
        changes.append(any(not torch.equal(after[k], before[k]) for k in before))
    return changes


def test_loss_is_charbonnier_of_what_is_restored():
    model = build()
    data = model.data_preprocessor(batch(n=2), training=True)
    loss = model(**data, mode='loss')['loss_pixel']
    restored = model(data['inputs'], mode='tensor')
    expected = ((restored - data['data_samples'].gt_img) ** 2 + 1e-12).sqrt().mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize('flow', ['TinyFlow', 'PWCLite'])
def test_flow_is_frozen_then_trained(flow):
    model = build(flow=flow, train_cfg=dict(fix_iter=2))
    assert train(model, 4) == [False, False, True, True]
    # By reference: everything else trains from the start, whatever its name.
    assert all(p.requires_grad for p in model.parameters())


def test_a_checkpoint_does_not_end_the_freeze():
    model = build(train_cfg=dict(fix_iter=2))
    train(model, 3)
    fresh = build(train_cfg=dict(fix_iter=2))
    fresh.load_state_dict(model.state_dict())
    assert train(fresh, 3) == [False, False, True]


def test_the_runner_counts_when_there_is_one():
    model = build(train_cfg=dict(fix_iter=100))
    hub = MessageHub.get_current_instance()
    hub.update_info('loop_stage', 'train')
    try:
        for iteration, expected in ((99, [False]), (100, [True])):
            hub.update_info('iter', iteration)
            assert train(model, 1) == expected
    finally:
        hub.pop_info('loop_stage')
        hub.pop_info('iter')


def test_prediction_has_the_range_and_size_of_the_ground_truth():
    model = build(scale=2).eval()
    data = batch(n=2, scale=2)
    with torch.no_grad():
        samples = model.test_step(data)
    assert len(samples) == 2
    for sample, inputs in zip(samples, data['inputs'], strict=True):
        prediction = sample.output.pred_img
        assert prediction.shape == sample.gt_img.shape
        assert prediction.min() >= 0
        assert prediction.max() <= 255
        torch.testing.assert_close(sample.input, inputs.float())
    expected = model.generator(torch.stack(data['inputs']) / 255).mul(255).clamp(0, 255)
    torch.testing.assert_close(samples[1].output.pred_img, expected[1], atol=1e-2, rtol=0)


def test_prediction_without_ground_truth():
    model = build().eval()
    inputs = batch(n=2)['inputs']
    with torch.no_grad():
        by_step = model.test_step(dict(inputs=inputs))
        bare = model(torch.stack(inputs) / 255, mode='predict')
    for a, b in zip(by_step, bare, strict=True):
        torch.testing.assert_close(a.output.pred_img, b.output.pred_img)
        assert a.output.pred_img.shape == (3, 3, 16, 20)


def test_centre_frame_of_a_mirrored_clip():
    """Vimeo-90K: 7 frames extended to 14, ground truth for the fourth alone."""
    model = build().eval()
    data = batch(t=7, gt_frames=1)
    seven = data['inputs'][0]
    data['inputs'] = [torch.cat((seven, seven.flip(0)))]
    with torch.no_grad():
        (sample,) = model.test_step(data)
        restored = model.generator(data['inputs'][0][None] / 255)[0]
    expected = (restored[3] + restored[10]).mul(127.5).clamp(0, 255)
    torch.testing.assert_close(sample.output.pred_img, expected, atol=1e-2, rtol=0)
    losses = model(**model.data_preprocessor(data, True), mode='loss')
    assert losses['loss_pixel'].isfinite()


def test_centre_frame_of_any_other_clip():
    restored = torch.arange(6.0).view(1, 6, 1, 1, 1)
    inputs = torch.rand(1, 6, 3, 2, 2)
    assert centre_frame(restored, inputs).item() == 3
    assert centre_frame(restored[:, :5], inputs[:, :5]).item() == 2


@pytest.mark.parametrize('temporal', [False, True])
def test_ensemble_does_not_depend_on_how_the_clip_is_turned(temporal):
    ensemble = dict(type='SpatialTemporalEnsemble', is_temporal_ensemble=temporal)
    model = build(ensemble=ensemble).eval()
    inputs = torch.randint(0, 256, (1, 3, 3, 16, 16)) / 255

    def restore(x):
        with torch.no_grad():
            return model(x, mode='predict')[0].output.pred_img

    expected = restore(inputs)
    torch.testing.assert_close(restore(inputs.flip(4)).flip(3), expected, atol=1e-2, rtol=0)
    turned = restore(inputs.transpose(3, 4)).transpose(2, 3)
    torch.testing.assert_close(turned, expected, atol=1e-2, rtol=0)
    reversed_clip = restore(inputs.flip(1)).flip(0)
    assert torch.allclose(reversed_clip, expected, atol=1e-2) == temporal


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        (dict(ensemble=dict(type='Mean')), 'SpatialTemporalEnsemble'),
        (dict(train_cfg=dict(fix_iters=3)), "fix_iter, but got \\['fix_iters'\\]"),
    ],
)
def test_wrong_config_is_named(kwargs, match):
    with pytest.raises(ValueError, match=match):
        build(**kwargs)


def _train_on_one_of_two(rank, port, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', f'tcp://127.0.0.1:{port}', world_size=2, rank=rank)
    for find_unused_parameters in (False, True):
        model = build(train_cfg=dict(fix_iter=2))
        states = [copy.deepcopy(model.state_dict())]
        ddp = MMDistributedDataParallel(model, find_unused_parameters=find_unused_parameters)
        wrapper = OptimWrapper(torch.optim.Adam(ddp.parameters(), lr=1e-3))
        for step in range(4):
            # Each rank sees data of its own, so equal weights need synchronised gradients.
            ddp.train_step(batch(seed=2 * step + rank), wrapper)
            states.append(copy.deepcopy(model.state_dict()))
        torch.save(states, f'{folder}/rank{rank}_{find_unused_parameters}.pth')
    torch.distributed.destroy_process_group()


def test_ddp_crosses_the_boundary(tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    mp.start_processes(_train_on_one_of_two, (port, tmp_path), nprocs=2, start_method='forkserver')
    for find_unused_parameters in (False, True):
        first, second = (
            torch.load(tmp_path / f'rank{rank}_{find_unused_parameters}.pth') for rank in range(2)
        )
        for one, other in zip(first, second, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)
        for part, expected in (('flow_estimator', [0, 0, 1, 1]), ('decoder.output', [1] * 4)):
            moved = [
                any(part in k and not torch.equal(before[k], after[k]) for k in before)
                for before, after in pairwise(first)
            ]
            assert moved == expected
