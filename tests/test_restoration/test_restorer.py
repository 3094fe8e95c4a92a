# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.clips import moving_clip
from helpers.networks import Neighbours
from mmagic.models.archs import SpatialTemporalEnsemble
from mmagic.models.editors import BasicVSRNet, BasicVSRPlusPlusNet, IconVSRNet
from torch import nn

from s2svr_mm.checkpoints.files import weights_digest
from s2svr_mm.errors import ConfigError, DataError, NonFiniteError, NotEnoughMemoryError
from s2svr_mm.models.s2svr_net import S2SVRNet
from s2svr_mm.models.s2svr_plus_net import S2SVRPlusNet
from s2svr_mm.restoration.cost import NetworkCost, measure_cost
from s2svr_mm.restoration.planning import choose_plan
from s2svr_mm.restoration.restorer import VideoRestorer
from s2svr_mm.restoration.scene_cuts import REACH
from s2svr_mm.restoration.windows import TilingPlan
from s2svr_mm.utils.devices import computes_bfloat16


def restorer(network, **kwargs):
    settings = dict(device='cpu', dtype='float32', window=100, overlap=0, tile=0)
    return VideoRestorer(network, **{**settings, **kwargs})


def whole(network, clip):
    """The network on the whole clip at once, without any of our code."""
    x = torch.from_numpy(clip).permute(0, 3, 1, 2)[None].float() / 255
    with torch.no_grad():
        y = network.eval()(x)[0].clamp(0, 1) * 255
    return y.permute(0, 2, 3, 1).numpy()


def assert_close(frames, expected, tolerance=0.51):
    frames = np.stack(list(frames))
    assert frames.dtype == np.uint8
    assert np.abs(frames - expected).max() <= tolerance


@pytest.mark.parametrize(('window', 'overlap'), [(12, 8), (9, 6), (14, 10)])
def test_windows_equal_the_whole_clip(window, overlap):
    """Exactly, for a network that reaches no farther than what a window keeps to itself."""
    clip = moving_clip(31, 64, 64)
    network = Neighbours(reach=overlap // 4)
    result = list(restorer(network, window=window, overlap=overlap).restore(clip))
    # Fading between two equal frames may round once more.
    assert_close(result, whole(network, clip), tolerance=1.01)


def test_too_small_an_overlap_shows():
    """That the test above can fail."""
    clip = moving_clip(31, 64, 64)
    network = Neighbours(reach=4)
    result = np.stack(list(restorer(network, window=9, overlap=2).restore(clip)))
    assert np.abs(result - whole(network, clip)).max() > 3


@pytest.mark.parametrize('size', [(100, 136), (64, 152), (132, 64)])
def test_tiles_equal_the_whole_frame(size):
    clip = moving_clip(3, *size)
    network = Neighbours(reach=2)
    result = list(restorer(network, tile=64, tile_overlap=16).restore(clip))
    assert_close(result, whole(network, clip), tolerance=2.01)


@pytest.mark.parametrize('size', [(1, 1), (17, 33)])
@pytest.mark.parametrize('length', [1, 2, 3])
def test_any_size_and_length(size, length):
    network = S2SVRNet(4, 1, 2, scale=4)
    clip = moving_clip(length, *size)
    assert_close(restorer(network).restore(clip), whole(network, clip))


@pytest.mark.parametrize(
    'network',
    [
        lambda: BasicVSRNet(4, 1),
        lambda: BasicVSRPlusPlusNet(16, 1, is_low_res_input=True),
        pytest.param(lambda: IconVSRNet(64, 1, keyframe_stride=3), marks=pytest.mark.slow),
        pytest.param(
            lambda: BasicVSRPlusPlusNet(16, 1, is_low_res_input=False), marks=pytest.mark.slow
        ),
    ],
    ids=['basicvsr', 'basicvsr++', 'iconvsr', 'basicvsr++ of scale 1'],
)
def test_networks_of_mmagic(network):
    network = network()
    side = 64 if getattr(network, 'is_low_res_input', True) else 256
    clip = moving_clip(5, side, side)
    assert_close(restorer(network).restore(clip), whole(network, clip))
    for size, length in (((1, 1), 1), ((17, 33), 2)):
        odd = list(restorer(network, window=6, overlap=4).restore(moving_clip(length, *size)))
        scale = restorer(network).scale
        assert [f.shape for f in odd] == [(scale * size[0], scale * size[1], 3)] * length


def test_keyframes_of_iconvsr_lie_where_they_lie_in_the_whole_clip():
    network = IconVSRNet(64, 1, keyframe_stride=5)
    plan = restorer(network, window=14, overlap=6, tile=0).decide(moving_clip(1, 64, 64)).plan
    assert plan.step % 5 == 0
    assert plan.window >= 14


def test_restoring_is_lazy():
    clip, read = moving_clip(40, 64, 64), []
    stream = restorer(Neighbours(), window=10, overlap=6).restore(
        read.append(i) or frame for i, frame in enumerate(clip)
    )
    next(stream)
    assert len(read) <= 11 + REACH


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_frames_keep_their_type_and_precision(dtype):
    class Same(nn.Module):
        def forward(self, x):
            return x

    peak = 65535 if dtype == np.uint16 else 255
    frame = np.linspace(0, peak, 64 * 64 * 3).reshape(64, 64, 3).astype(dtype)
    (result,) = restorer(Same()).restore([frame])
    assert result.dtype == dtype
    np.testing.assert_allclose(result, frame, rtol=0, atol=0 if dtype != np.float32 else 1e-4)


def test_tta_is_the_spatial_ensemble_of_mmagic():
    network = S2SVRNet(4, 1, 2, scale=2)
    clip = moving_clip(3, 24, 32)
    ensemble = SpatialTemporalEnsemble(is_temporal_ensemble=False)

    class Ensemble(nn.Module):
        def forward(self, x):
            return ensemble(x, network)

    result = list(restorer(network, tta=True).restore(clip))
    assert_close(result, whole(Ensemble(), clip))
    plain = np.stack(list(restorer(network).restore(clip)))
    assert (np.stack(result) != plain).any()


def test_model_with_a_generator():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator = Neighbours()

    model, clip = Model(), moving_clip(3, 64, 64)
    assert_close(restorer(model).restore(clip), whole(model.generator, clip))


class Rough(nn.Module):
    """Differs from its float32 self in bfloat16, by more where ``gain`` is more."""

    def __init__(self, gain):
        super().__init__()
        self.gain = gain

    def forward(self, x):
        error = (x.to(torch.bfloat16).float() - x) if torch.is_autocast_enabled('cpu') else 0
        return x + self.gain * error


@pytest.mark.parametrize(('gain', 'expected'), [(0.01, 'bfloat16'), (20, 'float32')])
def test_bfloat16_only_where_it_is_close(monkeypatch, gain, expected):
    monkeypatch.setattr('s2svr_mm.restoration.planning.computes_bfloat16', lambda device: True)
    auto = restorer(Rough(gain), dtype='auto')
    clip = list(moving_clip(3, 64, 64))
    for _ in range(2):
        # Notes are those of one decision.
        decision = auto.decide(clip)
        assert decision.dtype == expected
        (note,) = decision.notes
        assert 'dB from float32' in note
    decision = restorer(Rough(gain), dtype='bfloat16').decide(clip)
    assert (decision.dtype, decision.notes) == ('bfloat16', ())


def test_float32_where_there_is_no_bfloat16(monkeypatch):
    monkeypatch.setattr('s2svr_mm.restoration.planning.computes_bfloat16', lambda device: False)
    decision = restorer(Rough(0), dtype='auto').decide(list(moving_clip(1, 64, 64)))
    assert (decision.dtype, decision.notes) == ('float32', ())


def test_bfloat16_support_is_known():
    assert computes_bfloat16(torch.device('cpu')) in (True, False)


def test_bfloat16_of_s2svr():
    network = S2SVRNet(4, 1, 2, scale=2)
    clip = moving_clip(3, 24, 32)
    result = np.stack(list(restorer(network, dtype='bfloat16').restore(clip)))
    error = np.square(result - whole(network, clip)).mean()
    assert 10 * np.log10(255**2 / error) > 35


@pytest.mark.parametrize(
    ('frames', 'message'),
    [
        ([np.zeros((8, 8), np.uint8)], r'frame 0 must be \(h, w, 3\)'),
        ([np.zeros((8, 8, 3), np.int64)], 'uint8, uint16 or float32'),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)], 'frame 1 is'),
        ([np.full((8, 8, 3), np.nan, np.float32)], 'not finite'),
    ],
)
def test_bad_frames(frames, message):
    with pytest.raises(DataError, match=message):
        list(restorer(Neighbours()).restore(frames))


def test_nan_of_a_network():
    network = Neighbours()
    network.weight.data[:] = torch.nan
    with pytest.raises(NonFiniteError, match='not finite'):
        list(restorer(network).restore(moving_clip(2, 64, 64)))


def test_bad_arguments():
    for kwargs, message in (
        (dict(dtype='int4'), 'dtype must be'),
        (dict(window=4, overlap=4), 'more than the overlap'),
        (dict(window=0, overlap=None), 'at least 1'),
        (dict(overlap=-1), 'not be negative'),
        (dict(tile_overlap=6), 'multiple of 4'),
        (dict(tile=32, tile_overlap=32), 'tile must be 0 or at least'),
        (dict(device='gpu'), 'no device'),
    ):
        with pytest.raises(ConfigError, match=message):
            restorer(Neighbours(), **kwargs)
    with pytest.raises(ConfigError, match='no network from sequence to sequence'):
        _ = restorer(nn.Flatten()).scale


def test_cost_is_what_a_network_allocates():
    class Keeps(nn.Module):
        """Holds 3 copies of the clip and 5 of a frame at its worst."""

        def forward(self, x):
            kept = [x + i for i in range(3)]
            work = [x[:, 0] + i for i in range(5)]
            del work
            return kept[-1]

    cost = measure_cost(
        lambda t, side: Keeps()(torch.zeros(1, t, 3, side, side)), torch.device('cpu')
    )
    # The clip itself is made in there, too.
    assert cost.per_frame == pytest.approx(4 * 12, rel=0.02)
    assert cost.per_pixel == pytest.approx(5 * 12, rel=0.05)


def test_plans_fit_and_waste_little():
    cost = NetworkCost(per_frame=1600, per_pixel=4000)
    tiles = (0, 512, 256, 128)

    def plan(size, budget):
        return choose_plan(size, 4, 1, cost, int(budget), None, [(60, 16), (24, 16)], tiles, 64)

    assert plan((144, 180), 8e9) == TilingPlan(60, 16, 0, 64)
    tight = plan((720, 1280), 16e9)
    assert 0 < tight.tile <= 512
    assert cost.of(tight.window, tight.tile**2) < 16e9
    with pytest.raises(NotEnoughMemoryError, match=r'7680x4320 frames need .* GB may be used'):
        plan((4320, 7680), 1e9)


def test_default_overlap_is_what_it_was():
    """By name it was 8 at each end of a window; the frames that count are the same."""
    plan = restorer(Neighbours(), window=None, overlap=None).decide(moving_clip(1, 64, 64)).plan
    assert (plan.window, plan.step, plan.fade, plan.fade_start) == (60, 44, 8, 4)
    assert plan.tile_overlap == 64


def test_memory_limit_leads_to_tiles():
    def plan(limit):
        auto = VideoRestorer(Neighbours(), device='cpu', dtype='float32', memory_limit=limit)
        return auto.decide([np.zeros((720, 1280, 3), np.uint8)]).plan

    assert plan(32 * 2**30).tile == 0
    assert plan(2**30).tile > 0 or plan(2**30).window < 60
    with pytest.raises(NotEnoughMemoryError):
        plan(2**20)


def test_eight_k_on_a_small_machine():
    """With less context, and saying so, rather than not at all."""
    small = VideoRestorer(Neighbours(scale=1), 'cpu', 'float32', memory_limit=3 * 2**30)
    decision = small.decide([np.zeros((4320, 7680, 3), np.uint8)])
    assert decision.plan.tile > 0
    assert decision.plan.overlap < 16
    assert 'little memory' in decision.notes[0]


@pytest.mark.slow
def test_eight_k_stays_in_its_limit():
    """In a process of its own, so that nothing else counts to the peak."""
    script = f"""
import resource, sys
import numpy as np
import torch
sys.path[:0] = [{str(Path(__file__).parents[2])!r}, {str(Path(__file__).parents[1])!r}]
from helpers.networks import Neighbours
from s2svr_mm.restoration.restorer import VideoRestorer
restorer = VideoRestorer(Neighbours(1, reach=1), "cpu", "float32", memory_limit=3 * 2**30)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
frame = np.random.default_rng(0).integers(0, 256, (4320, 7680, 3)).astype(np.uint8)
count = sum(result.shape == frame.shape for result in restorer.restore(frame for _ in range(6)))
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""
    output = subprocess.check_output([sys.executable, '-c', script], text=True)
    count, gigabytes = output.split()[-2:]
    assert int(count) == 6
    assert float(gigabytes) < 3


@pytest.mark.parametrize(
    'option', [dict(brightness_window=5), dict(flow_input_size=2), dict(attention_radius=0)]
)
def test_fingerprints_tell_networks_of_the_same_weights_apart(option):
    def build(**options):
        network = S2SVRPlusNet(4, 1, 2, flow_estimator=dict(type='ZeroFlow'), **options)
        for parameter in network.parameters():
            nn.init.constant_(parameter, 0.01)
        return VideoRestorer(network.eval(), 'cpu', 'float32')

    plain, other = build(), build(**option)
    before = plain.fingerprint()
    assert weights_digest(plain.network) == weights_digest(other.network)
    assert other.fingerprint() != before
    list(plain.restore(moving_clip(2, 16, 16)))
    assert plain.fingerprint() == before == build().fingerprint()
