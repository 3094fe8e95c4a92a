# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A network of known reach, streams as a GPU has them, videos with sound and uneven times."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

MILLISECONDS = Fraction(1, 1000)


class Neighbours(nn.Module):
    """Enlarges frames after mixing each with those at most ``reach`` frames and pixels away.

    So a window's result is exactly that of the whole clip wherever the window has ``reach`` more
    frames on both sides.
    """

    def __init__(self, scale: int = 2, reach: int = 2) -> None:
        super().__init__()
        self.scale, self.reach = scale, reach
        self.weight = nn.Parameter(torch.rand(1, generator=torch.Generator().manual_seed(0)))

    def forward(self, lqs: Tensor) -> Tensor:
        n, t, c, h, w = lqs.shape
        mixed = []
        for i in range(t):
            near = lqs[:, max(i - self.reach, 0) : i + self.reach + 1]
            mixed.append(0.6 * lqs[:, i] + 0.4 * self.weight * near.mean(1))
        side = 2 * self.reach + 1
        x = torch.stack(mixed, 1).view(n * t, c, h, w)
        x = 0.7 * x + 0.3 * F.avg_pool2d(x, side, 1, self.reach, count_include_pad=False)
        x = F.interpolate(x, scale_factor=self.scale, mode='nearest')
        return x.view(n, t, c, h * self.scale, w * self.scale)


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


@pytest.fixture
def neighbours() -> Callable[..., Neighbours]:
    """The class :class:`Neighbours`."""
    return Neighbours


def write_movie(
    path: Path,
    frames: np.ndarray,
    times: Sequence[int] | None = None,
    codec: str = 'libx264',
    pix_fmt: str = 'yuv420p',
    sound: bool = False,
    subtitles: bool = False,
    rotation: int = 0,
    pixel_aspect: Fraction = Fraction(1),
    colours: tuple[int, int, int, int] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Encode RGB frames, shown at ``times`` in milliseconds, with sound and subtitles."""
    times = [40 * i for i in range(len(frames))] if times is None else times
    with av.open(str(path), 'w') as container:
        video = container.add_stream(codec, rate=25, options=options or {})
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = pix_fmt
        context = video.codec_context
        context.time_base = MILLISECONDS
        context.gop_size = 8
        context.sample_aspect_ratio = pixel_aspect
        if colours:
            context.color_range, context.colorspace = colours[:2]
            context.color_primaries, context.color_trc = colours[2:]
        if rotation:
            video.set_display_rotation(rotation)
        audio = container.add_stream('aac', rate=16000, layout='mono') if sound else None
        text = container.add_mux_stream('subrip') if subtitles else None
        for frame, time in zip(frames, times, strict=True):
            kind = 'rgb24' if frame.dtype == np.uint8 else 'rgb48le'
            picture = av.VideoFrame.from_ndarray(frame, format=kind)
            if colours:
                picture = picture.reformat(
                    format=pix_fmt,
                    dst_colorspace=5 if colours[1] == 6 else colours[1],
                    dst_color_range=colours[0],
                )
            picture.pts, picture.time_base = time, MILLISECONDS
            container.mux(video.encode(picture))
        container.mux(video.encode())
        seconds = times[-1] / 1000 + 0.04
        if audio:
            wave = np.sin(np.arange(int(16000 * seconds)) / 7) * 8000
            for start in range(0, len(wave) - 1023, 1024):
                chunk = wave[None, start : start + 1024].astype(np.int16)
                sample = av.AudioFrame.from_ndarray(chunk, format='s16', layout='mono')
                sample.sample_rate, sample.pts = 16000, start
                sample.time_base = Fraction(1, 16000)
                container.mux(audio.encode(sample))
            container.mux(audio.encode())
        if text:
            for i in range(int(seconds * 5)):
                packet = av.Packet(f'line {i}'.encode())
                packet.stream, packet.time_base = text, MILLISECONDS
                packet.pts = packet.dts = 200 * i
                packet.duration = 150
                container.mux_one(packet)
    return path


@pytest.fixture(scope='session')
def save_movie() -> Callable[..., Path]:
    """The function :func:`write_movie`."""
    return write_movie


def packets_of(path: Path, kind: str) -> list[tuple[float, bytes]]:
    """Time in seconds and data of each packet of the streams of one kind."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [
            (round(float(packet.pts * packet.time_base), 3), bytes(packet))
            for packet in container.demux(*streams)
            if packet.size
        ]


@pytest.fixture(scope='session')
def packets() -> Callable[[Path, str], list[tuple[float, bytes]]]:
    """The function :func:`packets_of`."""
    return packets_of


def pictures_of(path: Path) -> tuple[list[float], np.ndarray]:
    """Times in seconds and RGB frames of a video."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [round(f.time, 3) for f in frames], np.stack(
            [f.to_ndarray(format='rgb24') for f in frames]
        )


@pytest.fixture(scope='session')
def pictures() -> Callable[[Path], tuple[list[float], np.ndarray]]:
    """The function :func:`pictures_of`."""
    return pictures_of
