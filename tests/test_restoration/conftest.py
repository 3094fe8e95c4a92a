# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A network of known reach, streams as a GPU has them, videos with sound and uneven times."""

from contextlib import contextmanager
from fractions import Fraction

import pytest
import torch
from helpers.clips import moving_clip
from helpers.restoring import UNEVEN
from helpers.videos import write_movie
from torch import Tensor


@pytest.fixture
def movie(tmp_path):
    """A movie with uneven times, sound, subtitles, and pixels that are not square."""
    return write_movie(
        tmp_path / 'in.mkv',
        moving_clip(18, 24, 32),
        times=UNEVEN,
        sound=True,
        subtitles=True,
        pixel_aspect=Fraction(4, 3),
        options={'crf': '4'},
    )


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
    copy, empty_like = Tensor.copy_, torch.empty_like

    def copy_late(target, source, non_blocking=False):
        if not non_blocking:
            return copy(target, source)
        LateStream.current.todo.append(lambda: copy(target, source))
        return target

    def empty_like_of_nothing(other, pin_memory=False, **kwargs):
        return empty_like(other, **kwargs).fill_(77)

    monkeypatch.setattr(Tensor, 'copy_', copy_late)
    monkeypatch.setattr(torch, 'empty_like', empty_like_of_nothing)
    return LateStream
