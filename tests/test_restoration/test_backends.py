# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import sys

import numpy as np
import pytest
import torch
from helpers.clips import moving_clip
from helpers.networks import Neighbours
from helpers.tiny_s2svr import tiny
from helpers.videos import write_movie

from s2svr_mm.cli import main
from s2svr_mm.errors import ConfigError, MissingPackageError
from s2svr_mm.io.video import VideoReader
from s2svr_mm.restoration import planning
from s2svr_mm.restoration.planning import Decision
from s2svr_mm.restoration.restorer import VideoRestorer

for package in ('onnx', 'onnxruntime', 'openvino'):
    pytest.importorskip(package)

BACKENDS = ('onnxruntime', 'openvino')
SMALL = dict(device='cpu', window=5, overlap=2, tile=40, tile_overlap=16)


@pytest.fixture(scope='module')
def network():
    return tiny(num_layers=2, scale=2)


@pytest.mark.parametrize('backend', BACKENDS)
def test_windows_and_tiles_are_those_of_torch(network, backend):
    frames = moving_clip(9, 37, 53)
    expected = np.stack(list(VideoRestorer(network, **SMALL, dtype='float32').restore(frames)))
    restorer = VideoRestorer(network, **SMALL, backend=backend)
    decision = restorer.decide(frames[:8])
    assert (decision.dtype, decision.backend) == ('float32', backend)
    assert backend in str(decision)
    restored = np.stack(list(restorer.restore(frames, decision)))
    assert np.abs(restored.astype(int) - expected).max() <= 1
    assert (restored != expected).mean() < 1e-3


def test_flips_go_through_the_back_end(network):
    frames = moving_clip(3, 20, 26)
    results = [
        np.stack(list(VideoRestorer(network, **SMALL, tta=True, backend=backend).restore(frames)))
        for backend in ('torch', 'onnxruntime')
    ]
    np.testing.assert_allclose(*(x.astype(int) for x in results), atol=1)


def test_memory_is_that_of_the_back_end(network):
    free = dict(device='cpu', memory_limit=2**30)
    decision = VideoRestorer(network, backend='openvino', **free).decide(moving_clip(2, 40, 50))
    assert decision.plan.window == planning.WINDOWS[0][0]


def test_what_another_back_end_began_is_not_resumed(network):
    prints = [VideoRestorer(network, **SMALL, backend=b).fingerprint() for b in ('torch', 'auto')]
    assert prints[0] != prints[1]
    decision = Decision(planning.TilingPlan(5, 2, 40, 16), 'float32', ('note',), 'openvino')
    assert Decision.from_json(decision.to_json() | {'notes': ['note']}) == decision


@pytest.mark.parametrize('fastest', ['torch', *BACKENDS])
def test_auto_takes_what_is_fastest_and_names_it(network, monkeypatch, fastest):
    def seconds(run):
        assert run().shape == (1, 4, 3, 74, 106)
        return 0.1 if run.args[2] == fastest else 0.2

    monkeypatch.setattr(planning, '_seconds', seconds)
    decision = VideoRestorer(network, **SMALL, backend='auto').decide(moving_clip(4, 37, 53))
    assert decision.backend == fastest
    assert f'a frame of 53x37 takes {25 if fastest == "torch" else 50}.0 ms by torch' in str(
        decision.notes
    )
    assert decision.notes[-1].endswith(f': {fastest} in {decision.dtype}')


def test_auto_takes_torch_where_nothing_else_can(network, monkeypatch):
    frames = moving_clip(4, 37, 53)
    decision = VideoRestorer(Neighbours(), **SMALL, backend='auto').decide(frames)
    assert decision.backend == 'torch'
    assert decision.notes[-1].startswith('no back end but torch')
    for package in BACKENDS:
        monkeypatch.setitem(sys.modules, package, None)
    assert VideoRestorer(network, **SMALL, backend='auto').decide(frames).backend == 'torch'


def test_time_is_the_shortest_of_calls_after_the_first(monkeypatch):
    ticks = iter([0.0, 0.2, 1.0, 1.25])
    monkeypatch.setattr(planning.time, 'perf_counter', lambda: next(ticks))
    calls = []
    assert planning._seconds(lambda: calls.append(0)) == pytest.approx(0.2)
    assert len(calls) == 3


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(backend='tensorrt'), 'openvino'),
        (dict(backend='openvino', dtype='bfloat16'), 'float32 or int8, not in bfloat16'),
    ],
)
def test_impossible_settings(network, settings, message):
    with pytest.raises(ConfigError, match=message):
        VideoRestorer(network, **SMALL, **settings)


def test_other_networks_and_devices_are_refused(network):
    with pytest.raises(ConfigError, match='this is Neighbours, which runs in torch alone'):
        VideoRestorer(Neighbours(), **SMALL, backend='openvino')
    predictor = VideoRestorer(network, **SMALL).predictor
    predictor.device = torch.device('cuda')
    with pytest.raises(ConfigError, match='the device is cuda'):
        predictor.check_backend('openvino')
    assert predictor.usable_backends() == ['torch']


@pytest.mark.parametrize(('backend', 'extra'), [('onnxruntime', 'onnx'), ('openvino', 'openvino')])
@pytest.mark.parametrize('missing', ['itself', 'onnx'])
def test_a_missing_package_is_named(network, monkeypatch, backend, extra, missing):
    monkeypatch.setitem(sys.modules, backend if missing == 'itself' else missing, None)
    with pytest.raises(MissingPackageError, match=rf's2svr_mm\[{extra}\]'):
        VideoRestorer(network, **SMALL, backend=backend)


def test_command(tmp_path, capsys):
    write_movie(tmp_path / 'in.mp4', moving_clip(3, 24, 32))
    source, target = str(tmp_path / 'in.mp4'), str(tmp_path / 'out.mp4')
    main(['restore', source, target, '--model', 's2svr_s_x2_video', '--backend', 'onnxruntime'])
    assert 'float32 by onnxruntime on cpu' in capsys.readouterr().out
    assert len(VideoReader(target)) == 3
