# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Transfers and resting states, with streams that do nothing before somebody waits for them."""

from functools import partial

import numpy as np
import pytest
import torch
from helpers.clips import moving_clip
from helpers.networks import Neighbours

from s2svr_mm.models.s2svr_net import S2SVRNet
from s2svr_mm.restoration.cost import NetworkCost
from s2svr_mm.restoration.offload import NEAR, MainMemory
from s2svr_mm.restoration.planning import choose_plan
from s2svr_mm.restoration.restorer import VideoRestorer
from s2svr_mm.restoration.transfers import CudaTransfers, HostTransfers, transfers_to

CPU = torch.device('cpu')


def test_frames_are_waited_for(late_streams):
    clip = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3)).astype(np.uint8)
    moves = CudaTransfers(CPU)
    # Parts of frames, as tiles are.
    there = moves.upload([frame[1:5, 2:] for frame in clip])
    assert np.array_equal(there.numpy(), clip[:, 1:5, 2:])
    # (t, c, h, w) seen as (t, h, w, c), as the network leaves it.
    result = torch.from_numpy(clip.transpose(0, 3, 1, 2).copy()).permute(0, 2, 3, 1)
    fetch = moves.download(result)
    assert np.array_equal(fetch(), clip)


def test_fetching_does_not_wait_for_later_work(late_streams):
    moves = CudaTransfers(CPU)
    fetch = moves.download(torch.arange(4)[:, None])
    computing = late_streams.current
    computing.todo.append(lambda: pytest.fail('waited for the next clip'))
    assert fetch()[:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('tile', [0, 32])
def test_restores_as_without_transfers(late_streams, tile):
    """One clip ahead, and of each window every tile: nothing gets lost or mixed up."""
    clip = moving_clip(15, 40, 64)
    settings = dict(device='cpu', dtype='float32', window=6, overlap=2, tile=tile, tile_overlap=8)
    expected = list(VideoRestorer(Neighbours(), **settings).restore(clip))
    restorer = VideoRestorer(Neighbours(), **settings)
    predictor = restorer.predictor
    predictor._transfers = CudaTransfers(CPU)
    begun, real = [], predictor._begin

    def begin(frames, dtype, backend):
        begun.append(frames)
        return real(frames, dtype, backend)

    predictor._begin = begin
    stream = restorer.restore(clip)
    first = next(stream)
    # The network has its next clip before the first window is handed out, and no more.
    assert len(begun) == (2 if tile == 0 else 7)
    result = [first, *stream]
    assert np.array_equal(result, expected)


def test_states_that_rest_come_back(late_streams):
    """In any order, and always as they were, whatever has to be fetched again."""
    memory = MainMemory(CPU)
    values = [torch.full((1, 2, 3, 3), float(i)) for i in range(12)]
    states = memory(value.clone() for value in values)
    assert len(states._near) == NEAR
    backwards = states[::-1]
    order = [*range(12), *reversed(range(12)), 0, 11, 3, -1, -12]
    assert all(torch.equal(states[i], values[i]) for i in order)
    assert all(torch.equal(backwards[i], values[::-1][i]) for i in order)
    assert all(map(torch.equal, backwards[::-1][2:7], values[2:7]))
    assert len(states._near) == NEAR
    with pytest.raises(IndexError):
        states[12]
    assert memory.held == 12 * values[0].nbytes
    del states, backwards
    assert memory.held == 0


def test_states_come_before_they_are_needed(late_streams):
    """As the decoder reads them, backwards and with both neighbours: each once, and early."""
    memory = MainMemory(CPU)
    states = memory(torch.full((1,), float(i)) for i in range(20))
    fetched, real = [], memory.coming.wait_event
    memory.coming.wait_event = lambda event: (fetched.append(event), real(event))
    for i in reversed(range(20)):
        for j in (i, i - 1, i + 1):
            if 0 <= j < 20:
                # The stream of the copies has had its order before this read.
                before = len(fetched)
                assert j in states._near
                assert states[j].item() == j
                assert len(fetched) <= before + 1
    assert len(fetched) == 20 - NEAR


def test_s2svr_with_resting_states(late_streams, monkeypatch):
    torch.manual_seed(0)
    network = S2SVRNet(4, 1, 3, scale=1).eval()
    clip = torch.from_numpy(moving_clip(9, 16, 24)).permute(0, 3, 1, 2)[None].float() / 255
    with torch.inference_mode():
        expected = network(clip)
        network.keep_states_in(MainMemory(CPU))
        # Frames go through one by one, as large ones do.
        monkeypatch.setattr('s2svr_mm.ops.chunking.max_pixels', lambda _: 1)
        found = network(clip)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_only_s2svr_on_a_gpu_rests_its_states():
    for network in (Neighbours(), S2SVRNet(4, 1, 1)):
        with pytest.raises(ValueError, match='S2SVRNet on a GPU'):
            VideoRestorer(network, 'cpu', offload=True)


def test_resting_states_count_as_main_memory():
    cost = NetworkCost(per_frame=10, per_pixel=1000, host_per_frame=4000)
    settings = dict(size=(512, 512), scale=1, sample_bytes=1, budget=2**30, tile_overlap=64)
    choose = partial(
        choose_plan, cost=cost, windows=[(60, 16), (12, 8)], tiles=[0, 128], **settings
    )
    assert choose(host_budget=2**38).tile == 0
    assert choose(host_budget=2**33).tile == 128


def test_device_decides():
    assert isinstance(transfers_to(CPU), HostTransfers)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_gpu_equals_cpu(dtype):
    clip = moving_clip(23, 40, 64).astype(dtype) * (257 if dtype == np.uint16 else 1)
    settings = dict(dtype='float32', window=6, overlap=2, tile=32, tile_overlap=8)
    found, expected = (
        np.stack(list(VideoRestorer(Neighbours(), device, **settings).restore(clip)))
        for device in ('cuda', 'cpu')
    )
    assert found.dtype == dtype
    assert np.abs(found.astype(float) - expected).max() <= 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_offloading_saves_gpu_memory():
    torch.manual_seed(0)
    network, clip = S2SVRNet(16, 1, 2, scale=1), moving_clip(24, 128, 128)
    results, peaks = [], []
    for offload in (False, True):
        settings = dict(dtype='float32', window=24, overlap=0, tile=0)
        restorer = VideoRestorer(network, 'cuda', offload=offload, **settings)
        torch.cuda.reset_peak_memory_stats()
        results.append(np.stack(list(restorer.restore(clip))).astype(int))
        peaks.append(torch.cuda.max_memory_allocated())
    assert np.abs(results[1] - results[0]).max() <= 1
    # Of the states of 24 frames, those of two thirds at least lie elsewhere.
    assert peaks[0] - peaks[1] > 16 * (16 * 128 * 128 * 4)
