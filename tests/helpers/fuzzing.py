# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Damage small videos at random, and look at what restoring and the data set make of them.

``python -m helpers.fuzzing 0 300`` (in ``tests``) tries the seeds from 0 to before 300, each in a
process of its own, and prints one line of JSON for each.
"""

import json
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from helpers.clips import moving_clip
from helpers.restoring import run

import s2svr_mm  # noqa: F401  # first: without compiled operators mmagic imports only after it
from s2svr_mm.datasets import VideoClipDataset
from s2svr_mm.datasets.transforms import LoadClip
from s2svr_mm.errors import S2SVRError
from s2svr_mm.io.reader import FrameSizeError

FRAMES = 16
# Ending of each file, with its video and sound codecs.
CLIPS = {
    'mp4': ('libx264', 'aac'),
    'mov': ('mpeg4', 'pcm_s16le'),
    'mkv': ('libx264', 'flac'),
    'webm': ('libvpx', 'libopus'),
    'avi': ('mpeg4', 'mp2'),
    'ts': ('libx264', 'mp2'),
    'mpg': ('mpeg2video', 'mp2'),
    'flv': ('flv', 'aac'),
    'm2ts': ('mpeg2video', 'ac3'),
    'y4m': ('wrapped_avframe', None),
}
# They say how long they are, so that a missing end shows.
KNOWN_LENGTH = ('mp4', 'mov', 'mkv', 'webm', 'avi', 'y4m')
# Seconds of processor time for one case, and bytes of memory.
SECONDS, MEMORY = 20, 6 << 30


def write_clip(suffix: str, folder: Path) -> Path:
    """Write the undamaged video of an ending."""
    video_codec, audio_codec = CLIPS[suffix]
    path = folder / f'whole.{suffix}'
    kind = 'yuv4mpegpipe' if suffix == 'y4m' else None
    # The same bytes each time, but for another version of FFmpeg.
    exact = {'fflags': '+bitexact'}
    with av.open(str(path), 'w', format=kind, container_options=exact) as container:
        options = {'bf': '2'} if video_codec in ('libx264', 'mpeg4', 'mpeg2video') else {}
        video = container.add_stream(video_codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        video.codec_context.gop_size = 6
        audio = container.add_stream(audio_codec, rate=48000) if audio_codec else None
        if audio:
            audio.codec_context.layout = 'mono'
        for index, frame in enumerate(moving_clip(FRAMES, 48, 64)):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24').reformat(format='yuv420p')
            picture.pts, picture.time_base = index, Fraction(1, 25)
            container.mux(video.encode(picture))
        container.mux(video.encode())
        if audio:
            wave = np.sin(np.arange(48000 * FRAMES // 25) / 20) * 8000
            sound = av.AudioFrame.from_ndarray(wave[None].astype(np.int16), 's16', 'mono')
            sound.sample_rate, sound.pts, sound.time_base = 48000, 0, Fraction(1, 48000)
            container.mux(audio.encode(sound))
            container.mux(audio.encode())
    return path


def _flip(data: bytearray, suffix: str, rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 4, 32, 256])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _flip_head(data: bytearray, suffix: str, rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 3, 10])):
        data[rng.randrange(min(len(data), 600))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _truncate(data: bytearray, suffix: str, rng: random.Random) -> bytes:
    return bytes(data[: rng.randrange(len(data))])


def _remove(data: bytearray, suffix: str, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return bytes(data[:start] + data[start + rng.choice([1, 188, 1000, 4000]) :])


def _repeat(data: bytearray, suffix: str, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    stop = start + rng.choice([1, 188, 1000, 4000])
    return bytes(data[:stop] + data[start:])


def _move(data: bytearray, suffix: str, rng: random.Random) -> bytes:
    a, b, c = sorted(rng.randrange(len(data)) for _ in range(3))
    return bytes(data[:a] + data[b:c] + data[a:b] + data[c:])


def _resize(data: bytearray, suffix: str, rng: random.Random) -> bytes:
    """Give boxes and chunks another length."""
    for _ in range(rng.choice([1, 1, 3])):
        place, order = rng.choice(list(_lengths(bytes(data), suffix)))
        (length,) = struct.unpack_from(f'{order}I', data, place)
        new = rng.choice(
            [0, 1, 7, length - 1, length + 1, 2 * length, 1 << 31, rng.getrandbits(32)]
        )
        struct.pack_into(f'{order}I', data, place, new & 0xFFFFFFFF)
    return bytes(data)


def _lengths(data: bytes, suffix: str) -> Iterator[tuple[int, str]]:
    """Where lengths are stated, and in which order of bytes; of other formats, any place."""
    if suffix in ('mp4', 'mov'):
        names = b'moov trak mdia minf stbl stsd stts stsz stco stsc ctts tkhd mdhd mdat edts elst'
        shift, order = -4, '>'
    elif suffix == 'avi':
        names, shift, order = b'RIFF LIST strh strf idx1 00dc 01wb', 4, '<'
    else:
        for place in range(4, min(len(data), 2000) - 4):
            yield place, '>'
        return
    for name in names.split():
        place = data.find(name)
        while place >= 0:
            if place + shift >= 0 and place + shift + 4 <= len(data):
                yield place + shift, order
            place = data.find(name, place + 1)


def _remuxed(change: Callable[[list, random.Random], None]) -> Callable:
    """Change which packet holds what in a file that is otherwise well made."""

    def mutate(data: bytearray, suffix: str, rng: random.Random) -> bytes:
        with tempfile.TemporaryDirectory() as name:
            old, new = Path(name, f'old.{suffix}'), Path(name, f'new.{suffix}')
            old.write_bytes(data)
            if suffix == 'y4m':
                head, *frames = bytes(data).split(b'FRAME\n')
                change(frames, rng)
                return b'FRAME\n'.join([head, *frames])
            with (
                av.open(str(old)) as source,
                av.open(str(new), 'w', container_options={'fflags': '+bitexact'}) as target,
            ):
                streams = [target.add_stream_from_template(s) for s in source.streams]
                packets = [p for p in source.demux() if p.size]
                content = [(p, bytes(p)) for p in packets]
                change(content, rng)
                for place, (_, data_) in zip(packets, content, strict=False):
                    packet = av.Packet(data_)
                    packet.pts, packet.dts, packet.time_base = place.pts, place.dts, place.time_base
                    packet.duration, packet.is_keyframe = place.duration, place.is_keyframe
                    packet.stream = streams[place.stream_index]
                    with suppress(av.error.FFmpegError, ValueError):
                        target.mux_one(packet)
            return new.read_bytes()

    return mutate


def _drop(content: list, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 4])):
        del content[rng.randrange(len(content))]


def _double(content: list, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 4])):
        place = rng.randrange(len(content))
        content.insert(place, content[place])


def _reorder(content: list, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 1, 4])):
        i, j = rng.randrange(len(content)), rng.randrange(len(content))
        content[i], content[j] = content[j], content[i]


MUTATIONS = {
    'flip': _flip,
    'truncate': _truncate,
    'drop packets': _remuxed(_drop),
    'resize': _resize,
    'double packets': _remuxed(_double),
    'flip head': _flip_head,
    'reorder packets': _remuxed(_reorder),
    'remove': _remove,
    'repeat': _repeat,
    'move': _move,
}


@dataclass
class Outcome:
    """What became of one seed.

    Attributes:
        seed: The seed.
        clip: Ending of the file.
        mutation: Name of the mutation.
        verdict: 'refused', 'incomplete', 'noted' or 'whole'.
        message: What was said.
        fault: What is wrong with that; empty if nothing is.
        seconds: How long it took.
    """

    seed: int
    clip: str
    mutation: str
    verdict: str = ''
    message: str = ''
    fault: str = ''
    seconds: float = 0.0


def case_of(seed: int) -> Outcome:
    """Which clip and mutation belong to a seed."""
    clips, mutations = list(CLIPS), list(MUTATIONS)
    return Outcome(seed, clips[seed % len(clips)], mutations[seed // len(clips) % len(mutations)])


def damaged(seed: int, folder: Path) -> Path:
    """Write the damaged file of a seed into an empty folder."""
    case = case_of(seed)
    whole = write_clip(case.clip, folder)
    data = MUTATIONS[case.mutation](bytearray(whole.read_bytes()), case.clip, random.Random(seed))
    whole.unlink()
    path = folder / 'clips' / f'damaged.{case.clip}'
    path.parent.mkdir()
    path.write_bytes(data)
    return path


def try_seed(seed: int, folder: Path) -> Outcome:
    """Restore a damaged file and load it as a data set; any other error than ours is a fault."""
    outcome = case_of(seed)
    began = time.monotonic()
    path = damaged(seed, folder)
    try:
        outcome.fault = _restore(path, folder / 'out.mkv', outcome) or _load(path, outcome) or ''
    except Exception:
        outcome.fault = traceback.format_exc()
    outcome.seconds = round(time.monotonic() - began, 2)
    return outcome


def decodable(path: Path) -> int:
    """Frames that FFmpeg decodes from the first video stream on."""
    count = 0
    with suppress(av.error.FFmpegError, OSError), av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            with suppress(av.error.FFmpegError):
                count += len(packet.decode())
    return count


def _restore(path: Path, output: Path, outcome: Outcome) -> str | None:
    """Restore to the end; returns what is wrong with the output."""
    try:
        summary = run(path, output)
    except S2SVRError as error:
        outcome.verdict, outcome.message = 'refused', str(error)
        return f'refused, but {output.name} is there' if output.exists() else None
    outcome.verdict = 'noted' if summary.notes else 'whole'
    outcome.message = '; '.join(summary.notes)
    if summary.damage:
        outcome.verdict, outcome.message = 'incomplete', summary.damage
    with av.open(str(output)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    if len(times) != summary.frames:
        return f'{len(times)} frames in the output, {summary.frames} reported'
    if times[0] > 1.1 or any(b <= a for a, b in pairwise(times)):
        return f'times of the output: {times}'
    if summary.damage:
        return None
    if (there := decodable(path)) > summary.frames:
        return f'reported as whole: {summary.frames} frames of {there}'
    missing = there < FRAMES and outcome.mutation == 'truncate' and outcome.clip in KNOWN_LENGTH
    if missing and not summary.notes:
        return f'reported as whole: {there} frames of {FRAMES}'
    return None


def _load(path: Path, outcome: Outcome) -> str | None:
    """Load the file as a data set; returns what is wrong with that."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            folder = dict(gt=str(path.parent))
            frames = VideoClipDataset(folder, test_mode=True, pipeline=[LoadClip()])[0]
        except FrameSizeError:
            return None
        except S2SVRError as error:
            if outcome.verdict == 'refused' or 'sizes' in str(error) or 'x' in str(error):
                return None
            return f'restored, but no data set: {error}'
    shapes = {frame.shape for frame in frames['gt']}
    return None if len(shapes) == 1 else f'frames of sizes {shapes} in a data set'


def try_apart(seed: int) -> Outcome:
    """As :func:`try_seed` in a process of its own: crashes and hangs are faults."""
    outcome = case_of(seed)
    with tempfile.TemporaryDirectory() as name:
        report = Path(name, 'report.json')
        child = os.fork()
        if child == 0:
            _be_child(seed, Path(name), report)
        limit = time.monotonic() + 6 * SECONDS
        status: int | None = None
        while status is None and time.monotonic() < limit:
            done, status_ = os.waitpid(child, os.WNOHANG)
            status = status_ if done else None
            time.sleep(0.005)
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            outcome.fault = 'hangs'
        elif status != 0:
            stopped = os.WIFSIGNALED(status) and signal.Signals(os.WTERMSIG(status))
            outcome.fault = 'hangs' if stopped == signal.SIGXCPU else f'ends with {stopped}'
        else:
            outcome = Outcome(**json.loads(report.read_text()))
    return outcome


def _be_child(seed: int, folder: Path, report: Path) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    try:
        report.write_text(json.dumps(asdict(try_seed(seed, folder))))
    finally:
        os._exit(0)


def main(first: int, stop: int) -> None:
    """Try seeds, each in a process of its own."""
    for seed in range(first, stop):
        print(json.dumps(asdict(try_apart(seed))), flush=True)


if __name__ == '__main__':
    main(*map(int, sys.argv[1:]))
