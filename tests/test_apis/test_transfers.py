# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The CUDA transfers with streams that do nothing before somebody waits for them."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor

from s2svr_mm.apis import transfers
from s2svr_mm.apis.restorer import VideoRestorer
from s2svr_mm.apis.transfers import CudaTransfers, HostTransfers, transfers_to

CPU = torch.device('cpu')


class LateStream:
    """Does what it is given as late as possible: when an event after it is waited for."""

    current: 'LateStream'

    def __init__(self, device=None):
        self.todo = []
        self.done = 0

    def do_until(self, count):
        while self.done < count:
            self.done += 1
            self.todo[self.done - 1]()

    def record_event(self):
        return LateEvent(self, len(self.todo))

    def wait_event(self, event):
        self.todo.append(event.synchronize)

    def wait_stream(self, other):
        self.wait_event(other.record_event())


class LateEvent:
    def __init__(self, stream, count):
        self.stream, self.count = stream, count

    def synchronize(self):
        self.stream.do_until(self.count)


class ComputingStream(LateStream):
    """The stream of the network; torch's work here is done at once, so that it waits at once."""

    def wait_event(self, event):
        event.synchronize()


@pytest.fixture
def late_streams(monkeypatch):
    """Streams, pinned memory and copies of a GPU, all on the CPU."""
    LateStream.current = ComputingStream()

    @contextmanager
    def use(stream):
        before, LateStream.current = LateStream.current, stream
        yield
        LateStream.current = before

    empty = torch.empty

    def empty_of_nothing(*args, pin_memory=False, **kwargs):
        made = empty(*args, **kwargs)
        # What is read before it was written is seen.
        return made.fill_(77)

    monkeypatch.setattr(torch.cuda, 'Stream', LateStream)
    monkeypatch.setattr(torch.cuda, 'stream', use)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda device: LateStream.current)
    monkeypatch.setattr(torch, 'empty', empty_of_nothing)
    monkeypatch.setattr(Tensor, 'pin_memory', Tensor.clone)
    monkeypatch.setattr(Tensor, 'record_stream', lambda self, stream: None)
    monkeypatch.setattr(
        transfers,
        '_copy',
        lambda target, source: LateStream.current.todo.append(lambda: target.copy_(source)),
    )


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
    computing = LateStream.current
    computing.todo.append(lambda: pytest.fail('waited for the next clip'))
    assert fetch()[:, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('tile', [0, 32])
def test_restores_as_without_transfers(late_streams, neighbours, make_clip, tile):
    """One clip ahead, and of each window every tile: nothing gets lost or mixed up."""
    clip = make_clip(23, 40, 64)
    settings = dict(device='cpu', dtype='float32', window=6, overlap=1, tile=tile, tile_overlap=4)
    expected = list(VideoRestorer(neighbours(), **settings).restore(clip))
    restorer = VideoRestorer(neighbours(), **settings)
    restorer._transfers = CudaTransfers(CPU)
    begun, real = [], restorer._begin

    def begin(frames, dtype):
        begun.append(frames)
        return real(frames, dtype)

    restorer._begin = begin
    stream = restorer.restore(clip)
    first = next(stream)
    # The network has its next clip before the first window is handed out, and no more.
    assert len(begun) == (2 if tile == 0 else 7)
    result = [first, *stream]
    assert np.array_equal(result, expected)


def test_device_decides():
    assert isinstance(transfers_to(CPU), HostTransfers)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_gpu_equals_cpu(neighbours, make_clip, dtype):
    clip = make_clip(23, 40, 64).astype(dtype) * (257 if dtype == np.uint16 else 1)
    settings = dict(dtype='float32', window=6, overlap=1, tile=32, tile_overlap=4)
    found, expected = (
        np.stack(list(VideoRestorer(neighbours(), device, **settings).restore(clip)))
        for device in ('cuda', 'cpu')
    )
    assert found.dtype == dtype
    assert np.abs(found.astype(float) - expected).max() <= 1
