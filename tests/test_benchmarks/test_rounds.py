# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import itertools
import json
from types import SimpleNamespace

import pytest
import torch
from helpers.clips import moving_clip as rigid_clip
from helpers.clips import write_frames
from mmagic.models.editors import BasicVSRPlusPlusNet
from mmengine.analysis import FlopAnalyzer
from torch import nn

from benchmarks import measuring as benchmark_measuring
from benchmarks import rounds as benchmark_rounds
from benchmarks.cases import (
    BASELINES,
    Case,
    check_clip,
    compiled,
    make_cases,
    moving_clip,
    read_clip,
    reference_of,
)
from benchmarks.measuring import ConvolutionPeak, memory_is, peak_memory_of, seconds_of
from benchmarks.operator_profile import kind_of, profile_network
from benchmarks.report import Report
from benchmarks.rounds import Result, agreements, compare, spread, sweep
from s2svr_mm.errors import DataError
from s2svr_mm.models import S2SVRNet, S2SVRPlusNet
from s2svr_mm.utils.memory import measure_peak
from s2svr_mm.utils.profiling import count_macs

CPU = torch.device('cpu')


@pytest.fixture
def net():
    torch.manual_seed(0)
    return S2SVRNet(8, 1, 2).eval()


class Recorder(nn.Module):
    """Adds 0.1 and writes down that it ran."""

    def __init__(self, name, log):
        super().__init__()
        self.name, self.log = name, log
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        self.log.append((self.name, tuple(x.shape)))
        return x + 0.1


def mmengine_macs(net, clip):
    """mmengine's figure; it knows no deformable convolution unless told."""

    def deformable(weight):
        def count(inputs, outputs):
            n, out, h, w = outputs[0].type().sizes()
            _, into, kh, kw = inputs[weight].type().sizes()
            return n * out * h * w * into * kh * kw

        return count

    # mmcv's compiled one, and torchvision's: which of their inputs is the weight.
    known = {
        'prim::PythonOp.ModulatedDeformConv2dFunction': deformable(3),
        'torchvision::deform_conv2d': deformable(1),
    }
    analyzer = FlopAnalyzer(net, (clip,)).unsupported_ops_warnings(False)
    analyzer.uncalled_modules_warnings(False)
    analyzer.set_op_handle(**known)
    counts = analyzer.by_operator()
    return sum(counts[key] for key in ('conv', 'matmul', *(k.split('::')[1] for k in known)))


@pytest.mark.parametrize(
    ('build', 'size'),
    [(lambda: S2SVRNet(8, 1, 2), (9, 20)), (lambda: BasicVSRPlusPlusNet(8, 1), (64, 64))],
)
def test_multiply_adds_are_those_of_mmengine(build, size):
    network, clip = build().eval(), moving_clip(2, size)
    with torch.no_grad():
        assert count_macs(lambda: network(clip)) == mmengine_macs(network, clip)


def test_multiply_adds_of_a_backward_pass():
    conv, x = nn.Conv2d(3, 5, 3, padding=1), torch.rand(2, 3, 7, 9, requires_grad=True)
    once = 2 * 7 * 9 * 3 * 5 * 9
    assert count_macs(lambda: conv(x)) == once
    assert count_macs(lambda: conv(x).sum().backward()) == 3 * once


def test_peak_counts_what_it_computes(monkeypatch):
    computed = []

    def in_two_seconds(function, device):
        computed.append(count_macs(function))
        return 2.0

    monkeypatch.setattr(benchmark_measuring, 'seconds_of', in_two_seconds)
    peak = ConvolutionPeak((90, 100), torch.float32, CPU)
    assert peak.measure() == peak.best == computed[0] == 2 * 9000 * 64 * 64 * 9


@pytest.mark.parametrize(
    'measured_memory', [peak_memory_of, measure_peak], ids=['resident', 'torch']
)
def test_memory_is_the_peak_of_each_run(measured_memory):
    """Whatever ran before, and although all of it is freed at the end."""
    if memory_is(CPU) != 'resident set':
        pytest.skip('the kernel does not reset the peak')
    for mib in (8, 96, 8, 32):
        found = measured_memory(lambda mib=mib: torch.ones(mib, 2**18).sum(), CPU) / 2**20
        assert mib <= found + 0.5
        assert found < mib + 6


def test_time_is_that_of_the_run(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(benchmark_measuring.time, 'perf_counter', lambda: now[0])
    assert seconds_of(lambda: now.__setitem__(0, 102.5), CPU) == 2.5


def test_cases_run_in_turn():
    log = []
    cases = [Case(n, n, Recorder(n, log)) for n in 'ab']
    results, outputs = compare(cases, torch.zeros(1, 3, 3, 4, 4), rounds=3)
    # To warm up, three rounds, and for the memory.
    assert [name for name, _ in log] == list('ab' * 5)
    assert [len(r.seconds) for r in results] == [3, 3]
    assert [r.frames for r in results] == [3, 3]
    assert outputs[0].unique().tolist() == pytest.approx([0.1])


@pytest.mark.parametrize(('noise', 'rounds'), [(0.02, 4), (0.5, 12)])
def test_rounds_go_on_while_ratios_vary(noise, rounds, monkeypatch):
    """Every second run of b takes longer."""
    times = itertools.cycle([1.0, 2.0, 1.0, 2.0 + noise * 2])
    monkeypatch.setattr(benchmark_rounds, 'seconds_of', lambda function, device: next(times))
    peak = SimpleNamespace(dtype=torch.float32, measure=lambda: 5.0)
    cases = [Case(n, n, Recorder(n, [])) for n in 'ab']
    results, _ = compare(cases, torch.zeros(1, 1, 3, 4, 4), rounds=4, peaks=[peak], base=cases[0])
    assert [len(result.seconds) for result in results] == [rounds] * 2
    assert results[1].peaks == [5.0] * rounds
    assert spread(results[1].ratios(results[0])) == pytest.approx(
        noise / (1 + noise) / (1 - noise / (1 + noise) / 2), rel=0.1
    )


def test_sweep_runs_its_points_in_turn():
    log = []
    points = [(2, (8, 16)), (5, (8, 16)), (2, (4, 4))]
    results = sweep(Case('s2svr', 'S2SVR', Recorder('a', log)), points, rounds=2)
    shapes = [(1, frames, 3, *size) for frames, size in points]
    assert [shape for _, shape in log] == shapes * 2 + [s for s in shapes for _ in range(2)]
    assert [r.frames for r in results] == [2, 5, 2]
    assert [len(r.seconds) for r in results] == [2, 2, 2]


def test_forms_of_s2svr_agree(net):
    cases = make_cases(net, ['s2svr', 'reference'], [torch.float32, torch.bfloat16], CPU, flow=True)
    names = ['S2SVR', 'its flow network', 'S2SVR', 'its flow network', 'S2SVR, reference']
    assert [case.name for case in cases] == names
    results, outputs = compare(cases, moving_clip(2, (9, 17)), rounds=1)
    found = {a.case.dtype: a for a in agreements(cases, outputs)}
    assert {a.reference.name for a in found.values()} == {'S2SVR, reference'}
    assert found[torch.float32].difference < 1e-4
    assert 30 < found[torch.bfloat16].psnr < found[torch.float32].psnr
    assert results[1].macs < results[0].macs
    assert cases[1].whole is cases[0]


def test_agreement_of_known_outputs():
    cases = [
        Case('s2svr', 'S2SVR', nn.Identity()),
        Case('basicvsr', 'other', nn.Identity()),
        Case('s2svr', 'S2SVR', nn.Identity(), torch.bfloat16),
    ]
    outputs = {n: torch.full((1, 2, 3, 4, 4), 0.1 * n) for n in range(3)}
    (agreement,) = agreements(cases, outputs)
    assert (agreement.case, agreement.reference) == (cases[2], cases[0])
    assert agreement.difference == pytest.approx(0.2)
    assert agreement.psnr == pytest.approx(13.979, abs=1e-3)


def test_training_counts_forward_and_backward(net):
    clip = moving_clip(2, (16, 16))
    cases = make_cases(net, ['s2svr', 'reference'], [torch.float32], CPU, training=True)
    assert [case.name for case in cases] == ['S2SVR', 'S2SVR, with_cp', 'S2SVR, reference']
    (once, again, reference), outputs = compare(cases, clip, rounds=1)
    with torch.no_grad():
        flow = count_macs(lambda: net.compute_flow(clip))
        forward = count_macs(lambda: net(clip))
    assert 2.8 * forward < once.macs < 3 * forward
    # The heads that stand outside the steps are not computed again.
    assert 0.5 * (forward - flow) < again.macs - once.macs < forward - flow
    assert reference.frames == 2
    assert not outputs
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(
    ('kind', 'kwargs'),
    [
        (S2SVRNet, dict(flow_estimator=dict(type='PWCLite', normalize_features=True))),
        (S2SVRNet, dict(attention_radius=2)),
        (S2SVRPlusNet, {}),
    ],
)
def test_reference_is_refused_where_there_is_none(kind, kwargs):
    with pytest.raises(ValueError, match='reference implementation'):
        reference_of(kind(8, 1, 2, **kwargs))


def test_baselines_are_of_the_published_sizes():
    with torch.device('meta'):
        sizes = {
            key: sum(p.numel() for p in build().parameters()) / 1e6
            for key, (_, build) in BASELINES.items()
        }
    assert {k: round(v, 1) for k, v in sizes.items()} == {
        'basicvsr': 6.3,
        'iconvsr': 8.7,
        'basicvsr_pp': 7.3,
    }


@pytest.mark.parametrize(
    ('models', 'frames', 'size', 'message'),
    [
        (['s2svr', 'iconvsr'], 4, (90, 160), '5 frames'),
        (['basicvsr'], 8, (60, 160), '64x64'),
    ],
)
def test_clips_that_baselines_do_not_take(models, frames, size, message):
    with pytest.raises(ValueError, match=message):
        check_clip(models, frames, size)
    check_clip(['s2svr', 'reference'], frames, size)


def test_texture_moves():
    clip = moving_clip(4, (20, 30), batch=2)
    assert clip.shape == (2, 4, 3, 20, 30)
    assert torch.equal(clip[:, 1:, :, :-1, :-2], clip[:, :-1, :, 1:, 2:])
    assert clip.min() >= 0
    assert clip.max() <= 1
    assert clip.std() > 0.1
    assert not torch.equal(clip[0], clip[1])


def test_frames_of_a_file(tmp_path):
    frames = rigid_clip(3, 20, 30)
    folder = str(write_frames(tmp_path / 'clip', frames))
    clip = read_clip(folder, 2, (10, 14))
    expected = torch.from_numpy(frames[:2, 5:15, 8:22]).permute(0, 3, 1, 2) / 255
    assert torch.equal(clip[0], expected)
    with pytest.raises(DataError, match='3 frames of 30x20; 4 of 14x10'):
        read_clip(folder, 4, (10, 14))
    with pytest.raises(DataError, match='2 of 31x10'):
        read_clip(folder, 2, (10, 31))


def test_profile_sees_everything(net):
    clip = moving_clip(3, (20, 33))
    found = profile_network(net, clip, torch.float32)
    for part in (found.flow, found.rest):
        assert part['convolutions'] > 0
        assert part['warps'] > 0
    assert found.flow['matrix products'] > 0
    flops = sum(shape.flops for shape in found.convolutions)
    with torch.no_grad():
        products = count_macs(lambda: net(clip)) - flops / 2
    assert 0 <= products < 0.05 * flops
    assert found.convolutions[0].seconds == max(s.seconds for s in found.convolutions)


@pytest.mark.parametrize(
    ('name', 'kind'),
    [
        ('aten::mkldnn_convolution', 'convolutions'),
        ('aten::cudnn_convolution', 'convolutions'),
        ('aten::bmm', 'matrix products'),
        ('aten::addmm_', 'matrix products'),
        ('aten::_embedding_bag_forward_only', 'warps'),
        ('aten::grid_sampler_2d', 'warps'),
        ('aten::upsample_bilinear2d', 'resizing'),
        ('aten::copy_', 'copies'),
        ('aten::constant_pad_nd', 'copies'),
        ('aten::leaky_relu_', 'element by element'),
        ('aten::_softmax', 'element by element'),
        ('aten::view', 'calls, views, allocation'),
    ],
)
def test_kinds_of_operations(name, kind):
    assert kind_of(name) == kind


def test_figures_are_compared_round_by_round(tmp_path):
    """A machine that slows down by half in the second round changes no ratio."""
    weight = SimpleNamespace(numel=lambda: 3_000_000)
    network = SimpleNamespace(parameters=lambda: [weight])
    ours = Case('s2svr', 'S2SVR', network)
    cases = [
        ours,
        Case('s2svr', 'flow', network, whole=ours),
        Case('reference', 'reference', network),
    ]
    seconds, memory = ([1, 2, 1], [0.25, 0.5, 0.25], [5, 10, 5]), (50, 10, 200)
    results = [
        Result(case, 4, 10**12, s, [4e12 / t for t in (1, 2, 1)], m * 2**20)
        for case, s, m in zip(cases, seconds, memory, strict=True)
    ]
    report = Report(
        settings=dict(command='x'),
        machine=dict(cpu='y', flags=['avx2']),
        memory_is='resident set',
        peaks={'float32': 4e12},
        results=results,
        base=results[-1],
        sweep=[((9, 16), results[0]), ((18, 16), results[2])],
    )
    files = report.write(str(tmp_path))
    figures = json.loads((tmp_path / 'results.json').read_text())
    assert figures == json.loads(json.dumps(report.figures()))
    first, flow, reference = figures['results']
    assert first['times_faster_than_base'] == [5, 5, 5]
    assert reference['times_faster_than_base'] == [1, 1, 1]
    assert flow['share_of_whole'] == [0.25, 0.25, 0.25]
    assert first['memory_of_base'] == 0.25
    assert first['share_of_peak'] == 0.5
    assert first['seconds_per_frame'] == 0.25
    table = (tmp_path / 'table.md').read_text()
    expected = (
        '| S2SVR | float32 | 0.25 (0.25 to 0.5) | 4 | 5 (5 to 5) | 50 | 0.25 | 3.00 | 250.0 |'
    )
    assert expected in table
    assert '| 25.0 (25.0 to 25.0) % of its time |' in table
    assert '| 4 | 16x18 | 5 (5 to 10) | 5 (5 to 5) | 200 | 50.00 | 182044 |' in table
    assert files[2].read_bytes().startswith(b'\x89PNG')


@pytest.mark.slow
def test_compiled_network_gives_the_same(net):
    clip = moving_clip(3, (20, 33))
    with torch.inference_mode():
        torch.testing.assert_close(compiled(net)(clip), net(clip), rtol=0, atol=1e-4)
