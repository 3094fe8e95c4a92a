# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import ctypes
import json
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.tiny_s2svr import tiny
from helpers.tool_process import CHECKOUT
from mmagic.models.editors import BasicVSRNet, BasicVSRPlusPlusNet
from mmagic.registry import MODELS
from mmengine import Config
from torch import nn

from s2svr_mm.cli import main
from s2svr_mm.errors import CheckpointError, ConfigError, MissingPackageError, OutputError
from s2svr_mm.models.basicvsr_same_size import BasicVSRSameSizeNet
from s2svr_mm.models.basicvsr_x2 import BasicVSRX2Net
from s2svr_mm.models.flow import DISFlow, FinePWCLite, SPyNet
from s2svr_mm.models.s2svr_net import S2SVRNet
from s2svr_mm.models.s2svr_plus_net import S2SVRPlusNet
from s2svr_mm.models.zoo import list_models, load_model
from s2svr_mm.restoration.restorer import VideoRestorer

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('openvino')

from s2svr_mm.export.conversion import ExportedNetwork, export_network  # noqa: E402
from s2svr_mm.export.network import OnnxNet  # noqa: E402

BACKENDS = ('onnxruntime', 'openvino')
# Frames, height, width.
CLIPS = [(1, 33, 47), (2, 5, 3), (5, 37, 50), (3, 1, 1)]


def clip_of(frames: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(frames + height)
    noise = torch.rand(frames, 3, height + 2, width + 2, generator=generator)
    return F.avg_pool2d(noise, 3, 1)[None]


@torch.inference_mode()
def assert_equal_to(network: nn.Module, exported: ExportedNetwork, clips=CLIPS) -> None:
    runs = [OnnxNet(exported, backend, network.compute_flow) for backend in BACKENDS]
    for size in clips:
        clip = clip_of(*size)
        expected = network(clip)
        for run in runs:
            torch.testing.assert_close(run(clip), expected, atol=1e-4, rtol=0)


# Large ones, whose parts test_options has in small.
SLOW = {'s2svr_s_compress', 's2svr_s_deblur', 's2svr_s_x4'}


@pytest.mark.parametrize(
    'name',
    [pytest.param(x, marks=[pytest.mark.slow] if x in SLOW else []) for x in list_models()],
)
def test_bundled_networks(name):
    network = load_model(name)
    exported = export_network(network, name)
    outside = exported.manifest['flow_outside']
    has_dis = isinstance(network.flow_estimator, DISFlow)
    assert ('DISFlow' in outside) if has_dis else outside is None
    assert ('flow' in exported.graphs) == (outside is None)
    assert_equal_to(network, exported)


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        (S2SVRNet, dict(num_layers=3, scale=2, attention_radius=2)),
        (S2SVRNet, dict(num_layers=1, scale=1)),
        (S2SVRNet, dict(num_layers=2, scale=1, attention_radius=0, flow_input_size=(20, 24))),
        (S2SVRPlusNet, dict(num_layers=2, scale=4, slim_heads=True, brightness_window=5)),
        (
            S2SVRPlusNet,
            dict(
                num_layers=2,
                scale=1,
                unshuffle=4,
                refine_flow=True,
                brightness_window=3,
                detail_branch=dict(num_blocks=1, aligned=3, in_place=2),
            ),
        ),
        (S2SVRPlusNet, dict(scale=1, detail_branch=dict(num_blocks=1, aligned=0))),
    ],
)
def test_options(kind, options):
    network = tiny(kind, **options)
    exported = export_network(network, 'tiny')
    assert 'KnownFlow' in exported.manifest['flow_outside']
    assert_equal_to(network, exported, [(1, 6, 9), (6, 13, 10)])


@pytest.mark.slow
@pytest.mark.parametrize('estimator', [FinePWCLite, SPyNet])
def test_estimators(estimator):
    network = tiny(num_layers=1, scale=4, flow_estimator=estimator(), flow_input_size=2)
    assert_equal_to(network, export_network(network, 'tiny'), [(3, 21, 34)])


def a_basicvsr(kind, **options):
    """Build a BasicVSR with random weights and biases, whose flows reach several pixels."""
    torch.manual_seed(0)
    network = kind(mid_channels=8, num_blocks=1, **options).eval()
    for name, parameter in network.named_parameters():
        nn.init.normal_(parameter, std=0.03 if name.startswith('spynet') else 0.15)
    return network


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        pytest.param(BasicVSRNet, {}, marks=pytest.mark.slow),
        pytest.param(BasicVSRSameSizeNet, {}, marks=pytest.mark.slow),
        (BasicVSRSameSizeNet, dict(unshuffle=2)),
        pytest.param(BasicVSRX2Net, {}, marks=pytest.mark.slow),
    ],
)
def test_basicvsr(kind, options):
    network = a_basicvsr(kind, **options)
    exported = export_network(network, 'basicvsr')
    network.check_if_mirror_extended(clip := clip_of(2, 64, 72))
    assert 0.1 < network.compute_flow(clip)[0].abs().max() < 20
    # SPyNet sees them as they are, then enlarged to 96x96.
    assert_equal_to(network, exported, [(2, 64, 64), (3, 68, 72), (2, 22, 34)])


def test_basicvsr_is_restored_with_another_back_end_and_by_the_example(tmp_path):
    network = a_basicvsr(BasicVSRNet)
    clip = clip_of(3, 50, 66)
    frames = list((clip[0].permute(0, 2, 3, 1) * 255).round().byte().numpy())
    by_torch, by_openvino = (
        np.stack(list(VideoRestorer(network, backend=name, dtype='float32').restore(frames)))
        for name in ('torch', 'openvino')
    )
    assert by_torch.shape == (3, 200, 264, 3)
    assert np.abs(by_torch.astype(int) - by_openvino).max() <= 1
    export_network(network, 'basicvsr').write(tmp_path / 'net')
    network_of = runpy.run_path(str(CHECKOUT / 'demo' / 'run_onnx.py'))['Network']
    clip = clip_of(3, 64, 68)
    restored = np.concatenate(
        network_of(tmp_path / 'net').restore([x.numpy() for x in clip[0].split(1)])
    )
    with torch.inference_mode():
        np.testing.assert_allclose(restored, network(clip)[0].numpy(), atol=1e-4)


@pytest.fixture(scope='module')
def exported():
    return export_network(tiny(num_layers=2, scale=2), 'tiny')


@pytest.fixture
def folder(exported, tmp_path):
    exported.write(tmp_path / 'net')
    return tmp_path / 'net'


def test_manifest_names_what_the_files_hold(exported, folder):
    read = ExportedNetwork.read(folder)
    assert read == exported
    assert sorted(p.name for p in folder.glob('*.*') if p.is_file()) == sorted(
        ['manifest.json', *(f'{name}.onnx' for name in read.manifest['order'])]
    )
    for name, graph in read.manifest['graphs'].items():
        model = onnx.load_from_string(read.graphs[name])
        assert [x.name for x in model.graph.input] == list(graph['inputs'])
        assert [x.name for x in model.graph.output] == graph['outputs']


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda f: (f / 'decoder.onnx').write_bytes(b'other'), 'decoder.onnx differs'),
        (lambda f: (f / 'warp.onnx').unlink(), 'warp.onnx is missing'),
        (lambda f: (f / 'manifest.json').unlink(), 'no manifest.json'),
        (lambda f: (f / 'manifest.json').write_text('[]'), 'no manifest.json'),
        (lambda f: (f / 'manifest.json').write_text('{"format": 99}'), 'has format 99'),
    ],
)
def test_what_is_not_as_exported_is_refused(folder, damage, message):
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        ExportedNetwork.read(folder)


def test_an_earlier_export_is_replaced(exported, folder):
    fewer = export_network(tiny(num_layers=1, scale=1), 'fewer')
    fewer.write(folder)
    assert not (folder / 'layer1.onnx').exists()
    assert ExportedNetwork.read(folder) == fewer
    exported.write(folder)
    assert ExportedNetwork.read(folder) == exported


def test_files_of_others_are_not_touched(exported, folder, tmp_path):
    (folder / 'notes.txt').write_text('mine')
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with pytest.raises(OutputError, match=r'notes\.txt'):
        exported.write(folder)
    assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    (tmp_path / 'file').write_text('mine')
    with pytest.raises((OutputError, ConfigError), match='file'):
        exported.write(tmp_path / 'file')


@pytest.mark.parametrize(
    ('network', 'message'),
    [
        (lambda: nn.Conv2d(3, 3, 1), 'this is Conv2d, which runs in torch alone'),
        (lambda: BasicVSRPlusPlusNet(8, 1), r'BasicVSRPlusPlusNet, .*opset 17 has no deformable'),
    ],
)
def test_other_networks_are_refused(network, message):
    with pytest.raises(ConfigError, match=message):
        export_network(network(), 'other')


def test_an_estimator_outside_has_to_be_given(exported):
    with pytest.raises(ConfigError, match='KnownFlow has no form in ONNX'):
        OnnxNet(exported, 'onnxruntime')
    network = tiny(num_layers=1, scale=1, flow_estimator=DISFlow())
    assert 'DISFlow' in export_network(network, 'dis').manifest['flow_outside']


@pytest.mark.parametrize(
    ('package', 'extra'), [('onnx', 'onnx'), ('onnxruntime', 'onnx'), ('openvino', 'openvino')]
)
def test_a_missing_package_is_named(exported, monkeypatch, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    network = tiny(num_layers=1, scale=1)
    needs = {'onnx': lambda: export_network(network, 'tiny')}
    use = needs.get(package, lambda: OnnxNet(exported, package, network.compute_flow))
    with pytest.raises(MissingPackageError, match=rf's2svr_mm\[{extra}\]'):
        use()


@pytest.mark.skipif(sys.platform != 'linux', reason='sigaltstack of glibc')
def test_openvino_leaves_no_freed_signal_stack(exported):
    """Each core of OpenVINO sets the thread's alternate signal stack; one stays for good."""

    class Stack(ctypes.Structure):
        _fields_ = (
            ('start', ctypes.c_void_p),
            ('flags', ctypes.c_int),
            ('size', ctypes.c_size_t),
        )

    def stack() -> int | None:
        found = Stack()
        assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found)) == 0
        return found.start

    flow = tiny().compute_flow
    first, second = (OnnxNet(exported, 'openvino', flow) for _ in range(2))
    set_first = stack()
    del first
    third = OnnxNet(exported, 'openvino', flow)
    del second, third
    OnnxNet(exported, 'openvino', flow)
    assert stack() == set_first


def test_an_unknown_back_end_is_refused(exported):
    with pytest.raises(ConfigError, match='openvino'):
        OnnxNet(exported, 'tensorrt', lambda clip: clip)


@pytest.mark.parametrize('arguments', [['s2svr_s_x4', '--checkpoint', 'a.pth'], ['a.py']])
def test_command_takes_a_name_or_a_config_with_its_checkpoint(tmp_path, capsys, arguments):
    with pytest.raises(SystemExit):
        main(['export', *arguments, str(tmp_path / 'out')])
    assert '--checkpoint' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_command_looks_at_the_folder_first(tmp_path, monkeypatch):
    monkeypatch.setattr('s2svr_mm.models.zoo.load_model', lambda *names: pytest.fail('loaded'))
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(OutputError, match=r'notes\.txt'):
        main(['export', 's2svr_s_x4', str(tmp_path), '--debug'])


def test_command_and_the_example_without_this_package(tmp_path, capsys):
    """What the command writes, the example restores as torch does, from NumPy arrays alone."""
    config = Config.fromfile(CHECKOUT / 'configs' / '_base_' / 'models' / 's2svr.py')
    config.model.generator.update(mid_channels=4, num_blocks=1, num_layers=2)
    config.dump(tmp_path / 'small.py')
    model = MODELS.build(config.model)
    model.init_weights()
    torch.save(model.state_dict(), tmp_path / 'small.pth')
    small = [str(tmp_path / name) for name in ('small.py', 'small.pth')]
    main(['export', small[0], '--checkpoint', small[1], str(tmp_path / 'net')])
    assert 'decoder' in capsys.readouterr().out
    frames = (clip_of(3, 17, 22)[0] * 255).round().byte()
    np.save(tmp_path / 'in.npy', frames.permute(0, 2, 3, 1).numpy())
    code = (
        'import runpy, sys; runpy.run_path(sys.argv[0], run_name="__main__"); '
        'assert not {"torch", "s2svr_mm"} & set(sys.modules)'
    )
    script = f'import sys; sys.argv = sys.argv[1:]; {code}'
    paths = [str(tmp_path / name) for name in ('net', 'in.npy', 'out.npy')]
    command = [sys.executable, '-c', script, str(CHECKOUT / 'demo' / 'run_onnx.py'), *paths]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    with torch.inference_mode():
        expected = load_model(*small)(frames[None] / 255)[0].clamp(0, 1) * 255
    restored = torch.from_numpy(np.load(tmp_path / 'out.npy')).permute(0, 3, 1, 2)
    assert (restored - expected).abs().max() <= 0.51
    shutil.copytree(tmp_path / 'net', tmp_path / 'other')
    with open(tmp_path / 'other' / 'flow.onnx', 'ab') as file:
        file.write(b' ')
    command[-3] = str(tmp_path / 'other')
    result = subprocess.run(command, capture_output=True, text=True)
    assert 'flow.onnx differs' in result.stderr


@pytest.mark.parametrize('options', [
    dict(num_layers=3, scale=2, attention_radius=2),
    dict(scale=1, unshuffle=2, detail_branch=dict(num_blocks=1, aligned=3, in_place=2)),
])  # fmt: skip
def test_the_example_takes_flows(tmp_path, options):
    network = tiny(**options)
    export_network(network, 'tiny').write(tmp_path / 'net')
    network_of = runpy.run_path(str(CHECKOUT / 'demo' / 'run_onnx.py'))['Network']
    clip = clip_of(6, 13, 10)
    with torch.inference_mode():
        expected = network(clip)[0]
        flows = [x[0].split(1) for x in network.compute_flow(clip)]
    flows = [[x.numpy() for x in pair] for pair in zip(*flows, strict=True)]
    frames = [x.numpy() for x in clip[0].split(1)]
    restored = np.concatenate(network_of(tmp_path / 'net').restore(frames, flows))
    np.testing.assert_allclose(restored, expected.numpy(), atol=1e-4)
    with pytest.raises(SystemExit, match='KnownFlow'):
        network_of(tmp_path / 'net').restore(frames)
    manifest = json.loads((tmp_path / 'net' / 'manifest.json').read_text())
    (tmp_path / 'net' / 'manifest.json').write_text(json.dumps(manifest | {'format': 99}))
    with pytest.raises(SystemExit, match='format 2, not 99'):
        network_of(tmp_path / 'net')
