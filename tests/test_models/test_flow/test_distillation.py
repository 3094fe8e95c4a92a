# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import copy
import itertools
import socket

import pytest
import torch
import torch.multiprocessing as mp
from helpers.clips import moving_clip
from mmagic.registry import MODELS
from mmagic.structures import DataSample
from mmagic.utils import register_all_modules
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, build_optim_wrapper

from s2svr_mm.errors import CheckpointError
from s2svr_mm.models import PWCLite
from s2svr_mm.models.flow import FlowDistillHead, FlowLabeler, neighbour_flows
from s2svr_mm.ops.occlusion import visible_mask

PREPROCESSOR = dict(type='DataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3)
PARTS = dict(
    photometric_loss=dict(type='PhotometricLoss', census_weight=1.0),
    smoothness_loss=dict(type='EdgeAwareSmoothnessLoss'),
)


def estimator(seed=0, scale=1e-4):
    """An estimator whose flow is short and so consistent, instead of zero."""
    torch.manual_seed(seed)
    module = PWCLite(normalize_features=True)
    module.init_weights()
    torch.nn.init.normal_(module.decoder.predict.weight, std=scale)
    return module


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / 'teacher.pth'
    torch.save(dict(state_dict=estimator(seed=1).state_dict()), path)
    return dict(
        type='PWCLite',
        normalize_features=True,
        init_cfg=dict(type='Pretrained', checkpoint=str(path)),
    )


def flow_model(teacher, **head):
    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='UnsupervisedFlow',
            estimator=dict(type='PWCLite', normalize_features=True),
            flow_head=dict(type='FlowDistillHead', teacher=teacher, **head),
            data_preprocessor=PREPROCESSOR,
        )
    )
    model.init_weights()
    return model


@pytest.fixture
def batch():
    def make(t=2, size=32, scale=1):
        gt = torch.from_numpy(moving_clip(t, size, size)).permute(0, 3, 1, 2)
        lq = gt // 2 * 2
        if scale > 1:
            lq = torch.nn.functional.avg_pool2d(gt.float(), scale).byte()
        return dict(inputs=[lq], data_samples=[DataSample(gt_img=gt)])

    return make


def test_teacher_stays_as_it_is_bit_for_bit(weights, batch):
    model = flow_model(weights, **PARTS)
    wrapper = build_optim_wrapper(
        model,
        dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1)),
    )
    before = copy.deepcopy(model.flow_head.teacher.state_dict())
    student = copy.deepcopy(model.estimator.state_dict())
    expected = estimator(seed=1).state_dict()
    torch.testing.assert_close(before, expected, rtol=0, atol=0)
    for _ in range(3):
        model.train()
        losses = model.train_step(batch(), wrapper)
    assert set(losses) >= {'loss_flow_distill', 'loss_flow_photometric', 'loss_flow_smooth'}
    after = model.flow_head.teacher.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert any(not torch.equal(v, student[k]) for k, v in model.estimator.state_dict().items())


def test_optimizer_and_gradients_do_not_find_the_teacher(weights, batch):
    model = flow_model(weights)
    assert not [name for name, _ in model.named_parameters() if name.startswith('flow_head')]
    assert sum(p.numel() for p in model.parameters()) == 2_236_660
    model.train()
    assert not model.flow_head.teacher.training
    losses = model(**model.data_preprocessor(batch(), True), mode='loss')
    losses['loss_flow_distill'].backward()
    assert all(p.grad is not None for p in model.estimator.parameters())
    assert not any(buffer.requires_grad for buffer in model.flow_head.buffers())


def test_loss_is_the_distance_where_the_teacher_is_consistent():
    # Flows so short that most of them are consistent, except where they leave the frame.
    teacher, student = estimator(seed=1), estimator(seed=2)
    head = FlowDistillHead(teacher=teacher)
    clean = torch.from_numpy(moving_clip(3, 40, 48)).permute(0, 3, 1, 2)[None] / 255
    degraded = clean.roll(1, 2)
    with torch.no_grad():
        flows = neighbour_flows(student, list(degraded.unbind(1)))
        taught = neighbour_flows(teacher, list(clean.unbind(1)))
        loss = head(student, tuple(torch.stack(f, 1) for f in flows), clean)
    total, count = 0.0, 0.0
    for here, there in ((0, 1), (1, 0)):
        for i in range(2):
            mask = visible_mask(taught[here][i], taught[there][i])
            distance = ((flows[here][i] - taught[here][i]).abs() + 0.01).pow(0.4).mean(1)
            total, count = total + (distance * mask[:, 0]).sum(), count + mask.sum()
    assert 0.1 < count / (4 * 40 * 48) < 1
    torch.testing.assert_close(loss['loss_flow_distill'], total / count)
    assert isinstance(next(teacher.parameters()), torch.nn.Parameter)  # ours is a copy


def test_between_resolutions():
    """A student at a quarter of the size whose flow is right has next to no distance."""
    head = FlowDistillHead(teacher=dict(type='DISFlow'), **PARTS)
    clean = torch.from_numpy(moving_clip(2, 96, 96, (4.0, -2.0), 0.0)).permute(0, 3, 1, 2)[None]
    clean = clean / 255
    right = torch.tensor((1.0, -0.5)).view(1, 1, 2, 1, 1).expand(1, 1, 2, 24, 24)
    # The flow from the first frame to the second is the shift itself.
    found = head(None, (-right, right), clean)
    wrong = head(None, (right, -right), clean)
    for name in ('loss_flow_distill', 'loss_flow_photometric'):
        assert found[name] < 0.5 * wrong[name]


def test_average_of_the_student():
    head = FlowDistillHead(momentum=0.25)
    student = estimator()
    head.follow(student)
    first = copy.deepcopy(student.state_dict())
    clean = torch.rand(1, 2, 3, 32, 32)
    flows = (torch.zeros(1, 1, 2, 32, 32),) * 2
    head(student, flows, clean)
    torch.testing.assert_close(head.teacher.state_dict(), first)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += 1
    head(student, flows, clean)
    for name, value in head.teacher.state_dict().items():
        torch.testing.assert_close(value, first[name] + 0.25)
    again = FlowDistillHead(momentum=0.25)
    again.follow(student)
    again.load_state_dict(head.state_dict())
    assert again.num_averaged == 2
    torch.testing.assert_close(again.teacher.state_dict(), head.teacher.state_dict())


def test_inside_s2svr(weights, batch):
    register_all_modules()
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='S2SVR',
            generator=dict(
                type='S2SVRNet',
                mid_channels=4,
                num_blocks=1,
                scale=4,
                flow_estimator=dict(type='PWCLite', normalize_features=True),
            ),
            pixel_loss=dict(type='CharbonnierLoss', loss_weight=1.0, reduction='mean'),
            flow_head=dict(type='FlowDistillHead', teacher=weights, begin=2, end=3, **PARTS),
            train_cfg=dict(fix_iter=1),
            data_preprocessor=PREPROCESSOR,
        )
    )
    model.init_weights()
    before = copy.deepcopy(model.flow_head.teacher.state_dict())
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-4))
    model.train()
    names = []
    for _ in range(4):
        losses = model.train_step(batch(t=3, size=64, scale=4), wrapper)
        names.append({name for name in losses if name != 'loss'})
    flow = {'loss_flow_distill', 'loss_flow_photometric', 'loss_flow_smooth'}
    assert names == [{'loss_pixel'}, {'loss_pixel'}, {'loss_pixel'} | flow, {'loss_pixel'}]
    torch.testing.assert_close(model.flow_head.teacher.state_dict(), before, rtol=0, atol=0)
    model.eval()
    with torch.no_grad():
        (sample,) = model.test_step(batch(t=2, size=64, scale=4))
    assert sample.output.pred_img.shape == (2, 3, 64, 64)


def test_all_pairings_against_one_label():
    """Each loss is the mean over four pairs, of which the label and the clean frames are shared."""
    teacher, student = estimator(seed=1), estimator(seed=2)
    clean = torch.from_numpy(moving_clip(3, 24, 32)).permute(0, 3, 1, 2)[None] / 255
    degraded = (clean + 0.1 * torch.rand_like(clean)).clamp(0, 1)
    head = FlowDistillHead(teacher=teacher, pairings='all', label='flips+refine', **PARTS)
    alone = FlowDistillHead(teacher=teacher, label='flips+refine', **PARTS)

    def flows_of(earlier, later):
        pairs = [neighbour_flows(student, [earlier[:, i], later[:, i + 1]]) for i in range(2)]
        return tuple(torch.stack([pair[way][0] for pair in pairs], 1) for way in (0, 1))

    with torch.no_grad():
        found = head(student, flows_of(degraded, degraded), clean, degraded)
        each = [
            alone(student, flows_of(*pair), clean)
            for pair in itertools.product((clean, degraded), repeat=2)
        ]
    assert len({float(losses['loss_flow_distill']) for losses in each}) == 4
    for name, loss in found.items():
        torch.testing.assert_close(loss, torch.stack([losses[name] for losses in each]).mean())

    # Smaller frames make no pair with clean ones; two clean ones do.
    small = torch.nn.functional.avg_pool2d(degraded[0], 2)[None]
    with torch.no_grad():
        flows = flows_of(small, small)
        found = head(student, flows, clean, small)['loss_flow_distill']
        each = [alone(student, flows, clean), alone(student, flows_of(clean, clean), clean)]
    expected = torch.stack([losses['loss_flow_distill'] for losses in each]).mean()
    torch.testing.assert_close(found, expected)

    with pytest.raises(ValueError, match=r"pairings='all' needs a degraded frame .* but got none"):
        head(student, flows, clean)


def test_labels_that_were_kept_stand_for_the_teacher():
    teacher, student = estimator(seed=1), estimator(seed=2)
    clean = torch.from_numpy(moving_clip(2, 32, 40)).permute(0, 3, 1, 2)[None] / 255
    head = FlowDistillHead(teacher=teacher, label='refine', **PARTS)
    labeler = FlowLabeler(dict(type='ZeroFlow'), 'refine')
    labeler.estimator = teacher
    with torch.no_grad():
        flows = tuple(f[0][:, None] for f in neighbour_flows(student, list(clean.unbind(1))))
        kept = labeler(*clean.unbind(1))
        expected = head(student, flows, clean)
        head.teacher = None
        # What downsampling cut off the frames is still there.
        larger = torch.nn.functional.pad(kept, (0, 3, 0, 2))
        found = head(student, flows, clean, None, larger)
    torch.testing.assert_close(found, expected)
    with pytest.raises(ValueError, match=r'are \(1, 6, 32, 40\), but got \(1, 6, 32, 39\)'):
        head(student, flows, clean, None, kept[..., :39])


def test_gradients_of_the_losses_by_finite_differences():
    """Of all losses by the student's flow, the label as it is."""
    clean = torch.from_numpy(moving_clip(2, 12, 14)).permute(0, 3, 1, 2)[None].double() / 255
    head = FlowDistillHead(teacher=dict(type='ZeroFlow'), label='flips+refine', **PARTS)

    def total(ahead, back):
        return sum(head(None, (ahead, back), clean).values())

    torch.manual_seed(0)
    flows = [(0.3 + 0.2 * torch.rand(1, 1, 2, 12, 14)).double().requires_grad_() for _ in range(2)]
    assert torch.autograd.gradcheck(total, flows, fast_mode=True)


@pytest.mark.parametrize('off', ['distill_loss', 'photometric_loss', 'smoothness_loss'])
def test_each_part_can_be_switched_off(off):
    head = FlowDistillHead(teacher=dict(type='ZeroFlow'), **{**PARTS, off: None})
    losses = head(None, (torch.zeros(1, 1, 2, 8, 8),) * 2, torch.rand(1, 2, 3, 8, 8))
    names = dict(
        distill_loss='loss_flow_distill',
        photometric_loss='loss_flow_photometric',
        smoothness_loss='loss_flow_smooth',
    )
    assert set(losses) == {name for part, name in names.items() if part != off}


def test_bad_config_and_data_are_named(tmp_path, weights):
    with pytest.raises(ValueError, match='leave flow_head out'):
        FlowDistillHead(distill_loss=None)
    with pytest.raises(ValueError, match='The teacher PWCLite has no weights'):
        FlowDistillHead(teacher=dict(type='PWCLite'))
    with pytest.raises(ValueError, match='momentum must be in'):
        FlowDistillHead(momentum=0)
    with pytest.raises(ValueError, match="pairings must be 'degraded' or 'all', but got 'both'"):
        FlowDistillHead(pairings='both')
    with pytest.raises(ValueError, match="but got 'mirrored'"):
        FlowDistillHead(label='mirrored')
    head = FlowDistillHead(teacher=dict(type='ZeroFlow'))
    flows = (torch.zeros(1, 2, 2, 8, 8),) * 2
    for clean, shown in ((None, 'none'), (torch.rand(1, 3, 8, 8), r'\(1, 3, 8, 8\)')):
        with pytest.raises(ValueError, match=f'ground truth of all 3 frames, but got {shown}'):
            head(None, flows, clean)
    torch.save(dict(state_dict=dict(a=torch.zeros(1))), tmp_path / 'other.pth')
    weights['init_cfg']['checkpoint'] = str(tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=r'other\.pth does not fit PWCLite'):
        flow_model(weights)


def test_a_clip_of_one_frame_teaches_nothing():
    head = FlowDistillHead(teacher=dict(type='ZeroFlow'))
    assert head(None, (torch.zeros(1, 0, 2, 8, 8),) * 2, torch.rand(1, 1, 3, 8, 8)) == {}


def _distil_on_one_of_two(rank, port, folder, weights):
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', f'tcp://127.0.0.1:{port}', world_size=2, rank=rank)
    model = flow_model(weights)
    before = copy.deepcopy(model.flow_head.teacher.state_dict())
    ddp = MMDistributedDataParallel(model)
    wrapper = OptimWrapper(torch.optim.Adam(ddp.parameters(), lr=1e-4))
    generator = torch.Generator().manual_seed(rank)
    for _ in range(2):
        gt = torch.randint(0, 256, (2, 3, 32, 32), generator=generator, dtype=torch.uint8)
        ddp.train_step(dict(inputs=[gt], data_samples=[DataSample(gt_img=gt)]), wrapper)
    states = dict(before=before, after=model.flow_head.teacher.state_dict())
    torch.save(dict(states, student=model.estimator.state_dict()), f'{folder}/rank{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes(tmp_path, weights):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    args = (port, str(tmp_path), weights)
    mp.start_processes(_distil_on_one_of_two, args, nprocs=2, start_method='forkserver')
    first, second = (torch.load(tmp_path / f'rank{rank}.pth') for rank in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first['after'], first['before'], rtol=0, atol=0)
    # Each rank saw frames of its own, so equal students that moved share their gradients.
    assert first['student']['decoder.predict.weight'].ne(0).any()
