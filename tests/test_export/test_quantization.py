# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import json

import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.tiny_s2svr import tiny
from mmagic.models.editors import BasicVSRNet
from torch import nn

from s2svr_mm.cli import main
from s2svr_mm.errors import ConfigError
from s2svr_mm.models.zoo import list_models, load_model
from s2svr_mm.restoration import planning
from s2svr_mm.restoration.restorer import VideoRestorer
from s2svr_mm.utils.metrics import psnr

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('openvino')

from s2svr_mm.export.conversion import export_network  # noqa: E402
from s2svr_mm.export.network import OnnxNet  # noqa: E402
from s2svr_mm.export.quantization import (  # noqa: E402
    RANGES,
    QuantizedConv2d,
    bundled_ranges,
    observe_ranges,
    quantize,
    quantized_convolutions,
)

BACKENDS = ('onnxruntime', 'openvino')
QUICK = dict(device='cpu', window=8, overlap=2, tile=0)


def tensor(frames):
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)[None] / 255


@pytest.fixture(scope='module')
def bundled():
    return load_model('s2svr_s_x2_video')


@pytest.fixture(scope='module')
def clip():
    return tensor(moving_clip(6, 46, 62))


@pytest.mark.parametrize(('low', 'high'), [(-1.5, 2.0), (0.0, 2.0), (-0.5, -0.1)])
def test_arithmetic_is_that_of_integers(low, high):
    """The same by whole numbers: products and sums of integers, scaled once at the end."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, padding=1)
    x = torch.randn(2, 3, 6, 7)
    low_, high_ = min(low, 0), max(high, 0)
    step = (high_ - low_) / 255
    zero = round(-low_ / step)
    levels = np.clip(np.rint(x.double().numpy() / step) + zero, 0, 255) - zero
    weights = conv.weight.detach().double()
    steps = weights.abs().amax((1, 2, 3)) / 63
    whole = torch.round(weights / steps[:, None, None, None])
    assert whole.abs().max() == 63
    sums = nn.functional.conv2d(torch.from_numpy(levels), whole, padding=1)
    assert torch.equal(sums, sums.round())
    expected = sums * (step * steps)[:, None, None] + conv.bias.double()[:, None, None]
    result = QuantizedConv2d(conv, low, high)(x)
    torch.testing.assert_close(result, expected.float(), atol=1e-4, rtol=1e-4)


def test_ranges_are_those_of_the_inputs(clip):
    network = tiny(num_layers=2, scale=2)
    ranges = observe_ranges(network, [clip, clip[:, :3]])
    # After a ReLU nothing is negative; the scores are of a tanh.
    rectified = [low for name, (low, _) in ranges.items() if name.endswith('conv2')]
    assert len(rectified) > 3
    assert set(rectified) == {0}
    assert max(map(abs, ranges['decoder.attention.score'])) <= 1
    # By another way: the greatest input of one convolution, caught while the clip passes.
    seen = []
    conv = network.decoder.output.convs[0]
    hook = conv.register_forward_pre_hook(lambda _, x: seen.append(x[0].detach()))
    with torch.no_grad():
        network(clip)
    hook.remove()
    low, high = ranges['decoder.output.convs.0']
    assert low == pytest.approx(min(float(x.min()) for x in seen))
    assert high == pytest.approx(max(float(x.max()) for x in seen))
    for nothing in ([], [clip[:, :1]]):
        with pytest.raises(ConfigError, match='of two frames or more'):
            observe_ranges(network, nothing)


def test_what_touches_frames_and_flow_stays_in_float(bundled):
    names = set(quantized_convolutions(load_model('s2svr_s_compress')))
    assert not any(name.startswith(('flow_estimator', 'details')) for name in names)
    assert 'decoder.output.convs.2' not in names
    assert 'decoder.output.convs.1' in names
    assert 'encoder.forward_layer.gru.input_gates' not in names
    assert 'decoder.feedback.convs.0' not in names
    assert 'decoder.feedback.convs.1' in names
    assert 'encoder.layers.0.gru.input_gates' in names
    before = bundled.state_dict()
    changed = quantize(bundled, bundled_ranges(bundled))
    assert all(torch.equal(before[key], value) for key, value in bundled.state_dict().items())
    kinds = [type(m) for m in changed.modules() if isinstance(m, QuantizedConv2d)]
    assert len(kinds) == len(quantized_convolutions(bundled))


def test_ranges_of_every_bundled_network_are_known():
    known = json.loads(RANGES.read_text())
    assert sorted(entry['name'] for entry in known.values()) == sorted(list_models())
    for name in list_models():
        network = load_model(name)
        assert bundled_ranges(network).keys() == quantized_convolutions(network).keys()


@torch.inference_mode()
@pytest.mark.parametrize('backend', BACKENDS)
def test_back_ends_compute_what_torch_simulates(bundled, clip, backend):
    ranges = bundled_ranges(bundled)
    with torch.inference_mode(False):
        exported = export_network(bundled, 'x2', ranges)
    assert exported.manifest['dtype'] == 'int8'
    rounded = sum(
        node.op_type == 'QuantizeLinear'
        for graph in exported.graphs.values()
        for node in onnx.load_from_string(graph).graph.node
    )
    assert rounded >= len(ranges)
    restored = OnnxNet(exported, backend, bundled.compute_flow)(clip).clamp(0, 1)
    exact = bundled(clip).clamp(0, 1)
    simulated = quantize(bundled, ranges)(clip).clamp(0, 1)
    # Values that lie between two levels may be rounded to either.
    assert psnr(simulated, restored, peak=1) > psnr(exact, restored, peak=1) > 55


@pytest.mark.slow
@torch.inference_mode()
def test_no_drift(bundled):
    frames = moving_clip(90, 24, 32)
    exact, rounded = (
        bundled(tensor(frames)),
        quantize(bundled, bundled_ranges(bundled))(tensor(frames)),
    )
    parts = [slice(0, 30), slice(60, 90)]
    first, last = (psnr(exact[:, part], rounded[:, part], peak=1) for part in parts)
    assert abs(first - last) < 3


def test_the_command(tmp_path, capsys):
    write_frames(tmp_path / 'in', moving_clip(3, 24, 32))
    source, target = str(tmp_path / 'in'), str(tmp_path / 'out')
    main(['restore', source, target, '--dtype', 'int8', '--backend', 'openvino'])
    assert 'int8 by openvino on cpu' in capsys.readouterr().out


def test_auto_takes_int8_if_it_is_fast_and_close(bundled, monkeypatch):
    frames = moving_clip(4, 37, 53)

    def seconds(run):
        return 0.1 if run.args[1] == 'int8' else 0.2

    monkeypatch.setattr(planning, '_seconds', seconds)
    monkeypatch.setattr(planning, 'ENOUGH_DB', 50.0)
    decision = VideoRestorer(bundled, **QUICK, backend='auto').decide(frames)
    assert decision.dtype == 'int8'
    assert any('int8 by openvino is ' in note for note in decision.notes)
    monkeypatch.setattr(planning, 'ENOUGH_DB', 200.0)
    decision = VideoRestorer(bundled, **QUICK, backend='auto').decide(frames)
    assert decision.dtype != 'int8'


def test_note_on_a_processor_without_vnni(bundled, monkeypatch):
    monkeypatch.setattr(planning, 'computes_int8', lambda: False)
    restorer = VideoRestorer(bundled, **QUICK, backend='openvino', dtype='int8')
    decision = restorer.decide(moving_clip(2, 24, 32))
    assert 'no AVX-512 VNNI' in decision.notes[-1]


def test_what_has_no_int8(bundled):
    network = tiny(num_layers=2, scale=2)
    with pytest.raises(ConfigError, match=r'bundled networks alone .*s2svr_s_x4'):
        VideoRestorer(network, **QUICK, backend='openvino', dtype='int8')
    with pytest.raises(ConfigError, match='bundled networks alone'):
        VideoRestorer(network, **QUICK, backend='auto', dtype='int8').decide(moving_clip(2, 24, 32))
    with pytest.raises(ConfigError, match='torch does not compute in int8'):
        VideoRestorer(bundled, **QUICK, dtype='int8')
    with pytest.raises(ConfigError, match=r'only S2SVR can be quantized to int8, .* BasicVSRNet'):
        VideoRestorer(BasicVSRNet(8, 1), **QUICK, backend='openvino', dtype='int8')


def test_export_of_own_ranges(tmp_path):
    write_frames(tmp_path / 'clips' / 'walk', moving_clip(3, 40, 48))
    out = str(tmp_path / 'net')
    main(['export', 's2svr_s_x2_video', out, '--int8', '--calibrate', str(tmp_path / 'clips')])
    own = json.loads((tmp_path / 'net' / 'manifest.json').read_text())
    main(['export', 's2svr_s_x2_video', out, '--int8'])
    known = json.loads((tmp_path / 'net' / 'manifest.json').read_text())
    assert own['dtype'] == known['dtype'] == 'int8'
    assert own['graphs']['decoder']['sha256'] != known['graphs']['decoder']['sha256']
