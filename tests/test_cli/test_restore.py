# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import os
import random
import signal
import subprocess
import sys
import time

import av
import cv2
import numpy as np
import pytest
import torch
from helpers.clips import moving_clip, write_frames
from helpers.tool_process import CHECKOUT

from s2svr_mm.models.s2svr_net import S2SVRNet

CONFIG = """
model = dict(
    type='S2SVR',
    generator=dict(
        type='S2SVRNet',
        mid_channels=4,
        num_blocks=1,
        num_layers=2,
        scale=2,
        flow_estimator=dict(type='PWCLite'),
    ),
    pixel_loss=dict(type='CharbonnierLoss'),
    data_preprocessor=dict(type='DataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3),
)
test_pipeline = [
    dict(type='GenerateSegmentIndices', interval_list=[1]),
    dict(type='LoadImageFromFile', key='img', channel_order='rgb'),
    dict(type='PackInputs'),
]
"""


@pytest.fixture
def model(tmp_path):
    """Arguments that name a tiny network with random weights."""
    torch.manual_seed(0)
    network = S2SVRNet(4, 1, 2, scale=2)
    state = {f'generator.{key}': value for key, value in network.state_dict().items()}
    torch.save({'state_dict': state}, tmp_path / 'tiny.pth')
    (tmp_path / 'tiny.py').write_text(CONFIG)
    return '--config', 'tiny.py', '--checkpoint', 'tiny.pth', '--dtype', 'float32'


@pytest.fixture
def frames(tmp_path):
    return write_frames(tmp_path / 'frames', moving_clip(20, 24, 32))


def read_folder(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


PIECES = ('--window', '8', '--overlap', '4', '--tile', '0', '--segment', '4')


def test_restores_as_from_python(frames, model, tmp_path, run_tool):
    result = run_tool('restore', 'frames', 'out', *model, *PIECES)
    assert result.status == 0, result.output
    assert '20 frames 32x24 -> 64x48 in out' in result.output
    assert '100%' in result.output
    assert 'peak memory' in result.output

    from s2svr_mm.models.zoo import load_model
    from s2svr_mm.restoration.restorer import VideoRestorer

    network = load_model(str(tmp_path / 'tiny.py'), str(tmp_path / 'tiny.pth'))
    restorer = VideoRestorer(network, 'cpu', 'float32', window=8, overlap=4, tile=0)
    clip = [cv2.imread(str(path))[..., ::-1] for path in sorted(frames.iterdir())]
    for path, expected in zip(
        sorted((tmp_path / 'out').iterdir()), restorer.restore(clip), strict=True
    ):
        assert np.array_equal(cv2.imread(str(path))[..., ::-1], expected)


def test_options(model, tmp_path, run_tool):
    write_frames(tmp_path / 'frames', moving_clip(6, 32, 32))
    result = run_tool(
        *('restore', 'frames/*.png', 'out.mkv', *model[:4], '--dtype', 'auto', '--tta'),
        *('--device', 'auto', '--frames', '1:5', '--fps', '30000/1001', '--compare', 'cmp.mp4'),
        *('--codec', 'ffv1', '--pix-fmt', 'yuv444p', '--memory', '2G', '--window', '4'),
        *('--tile', '32', '--tile-overlap', '8'),
    )
    assert result.status == 0, result.output
    lines = result.output.splitlines()
    # At once, before the seconds that the imports take; then how it is done, and the bar.
    assert lines[0] == 'frames/*.png -> out.mkv'
    assert any(line.startswith('windows of') for line in lines)
    assert '4 frames 32x32 -> 64x64 in out.mkv, cmp.mp4 (ffv1, yuv444p)' in result.output
    for name, size in (('out.mkv', (64, 64)), ('cmp.mp4', (128, 64))):
        with av.open(str(tmp_path / name)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == size
            assert float(stream.average_rate) == pytest.approx(30000 / 1001, abs=0.02)
            assert sum(1 for _ in container.decode(video=0)) == 4


def test_same_as_the_inferencer_of_mmagic(frames, model, tmp_path, run_tool, monkeypatch):
    """mmagic's own way restores with a config of ours, and to the same pixels."""
    # controlnet_aux, which mmagic.apis imports, works without mediapipe but not with its 1.x.
    if 'mmagic.apis' not in sys.modules:
        monkeypatch.setitem(sys.modules, 'mediapipe', None)
    from mmagic.apis.inferencers.video_restoration_inferencer import VideoRestorationInferencer

    inferencer = VideoRestorationInferencer(
        str(tmp_path / 'tiny.py'), str(tmp_path / 'tiny.pth'), device='cpu'
    )
    inferencer(video=str(frames), result_out_dir=str(tmp_path / 'mmagic' / ''))
    result = run_tool('restore', 'frames', 'out', *model, '--window', '20', '--tile', '0')
    assert result.status == 0, result.output
    for ours in (tmp_path / 'out').iterdir():
        theirs = cv2.imread(str(tmp_path / 'mmagic' / ours.name)).astype(int)
        assert np.abs(cv2.imread(str(ours)) - theirs).max() <= 1


def test_a_model_is_taken_where_none_is_named(tmp_path, run_tool):
    write_frames(tmp_path / 'frames', moving_clip(2, 8, 8))
    result = run_tool('restore', 'frames', 'out', '--quiet', '--dtype', 'float32')
    assert result.status == 0, result.output
    assert 'model: s2svr_s_x2_video, the default' in result.output
    named = run_tool('restore', 'frames', 'b', '--model', 's2svr_s_x2_video', '--dtype', 'float32')
    assert named.status == 0, named.output
    assert read_folder(tmp_path / 'out') == read_folder(tmp_path / 'b')


def test_clear_messages(frames, model, run_tool, tmp_path):
    for args, message in (
        (('frames', 'out', *model[:2]), '--config and --checkpoint go together'),
        (('frames', 'out', '--model', 'best'), "no model 'best' is bundled with s2svr_mm"),
        (('frames', 'out', *model[:3], 'no.pth'), 'there is no checkpoint at no.pth'),
        (('frames', 'out', '--config', 'no.py', *model[2:]), 'there is no config no.py'),
        (('nothing.mp4', 'out.mp4', '--model', 'best'), 'There is no nothing.mp4'),
        (('frames', 'out', *model, '--frames', '5'), 'not FIRST:END'),
        (('frames', 'out', *model, '--frames', '30:'), 'has 20 frames'),
        (('frames', 'out', *model, '--device', 'cuda:9'), 'cuda:9'),
    ):
        result = run_tool('restore', *args)
        assert result.status in (1, 2), result.output
        assert message in result.output
        assert 'Traceback' not in result.output
    assert not list(tmp_path.glob('out*'))


def test_damaged_input_is_reported_by_the_status(model, tmp_path, run_tool):
    movie = tmp_path / 'in.mkv'
    noise = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3)).astype(np.uint8)
    with av.open(str(movie), 'w') as container:
        video = container.add_stream('libx264', rate=25)
        video.width = video.height = 32
        for frame in noise:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
        container.mux(video.encode())
    data = movie.read_bytes()
    movie.write_bytes(data[: len(data) // 2])
    result = run_tool('restore', 'in.mkv', 'out.mkv', *model, *PIECES, '--quiet')
    assert result.status == 3, result.output
    assert 'only the good part was restored' in result.output
    assert (tmp_path / 'out.mkv').is_file()


def _wait_for(condition, process, seconds=600):
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['out', 'out.mp4'])
def test_kill_and_resume(model, tmp_path, name):
    """Killed three times at random places, the result is that of an uninterrupted run."""
    write_frames(tmp_path / 'frames', moving_clip(80, 24, 32))
    script = [sys.executable, str(CHECKOUT / 'tools' / 'restore.py'), 'frames']
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    args = [*model, *PIECES, '--quiet']
    subprocess.run([*script, f'straight_{name}', *args], cwd=tmp_path, env=env, check=True)
    parts = tmp_path / f'{name}.parts'
    rng = random.Random(0)
    kept = 0
    for _ in range(3):
        process = subprocess.Popen([*script, name, *args], cwd=tmp_path, env=env)

        def whole():
            return len([*parts.glob('output/*.packets'), *parts.glob('output/*.whole')])

        target = kept + rng.randint(0, 3)
        _wait_for(lambda target=target: parts.is_dir() and whole() >= target, process)
        time.sleep(rng.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = whole()
        assert not (tmp_path / name).exists()
    done = subprocess.run(
        [*script, name, *args], cwd=tmp_path, env=env, check=True, capture_output=True, text=True
    )
    assert ('from an earlier run' in done.stdout) == (kept > 0)
    if name == 'out':
        assert read_folder(tmp_path / 'out') == read_folder(tmp_path / 'straight_out')
    else:
        straight = (tmp_path / 'straight_out.mp4').read_bytes()
        assert (tmp_path / name).read_bytes() == straight
    assert not parts.exists()


@pytest.mark.slow
def test_interrupt(model, tmp_path):
    write_frames(tmp_path / 'frames', moving_clip(80, 24, 32))
    script = [sys.executable, str(CHECKOUT / 'tools' / 'restore.py'), 'frames', 'out']
    env = {**os.environ, 'OMP_NUM_THREADS': '1'}
    args = [*model, *PIECES, '--quiet']
    # A shell's background jobs ignore Ctrl-C, and so would what they start.
    listening = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [*script, *args], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, listening)
    _wait_for(lambda: (tmp_path / 'out.parts' / 'output' / '000000.whole').exists(), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 130
    assert 'the same call resumes it' in errors
    assert 'Traceback' not in errors
    subprocess.run([*script, *args], cwd=tmp_path, env=env, check=True)
    assert len(read_folder(tmp_path / 'out')) == 80
