# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Measure how a video file is sought in: time to a frame, and frames decoded before it.

Makes a video of each codec and reports the time to the frames at 5 and 90 %, in a reader that has
not seen the file before (which lists all packets once) and in one that has. Then restores a part
(``--frames A:``), and a video that was interrupted, by a network that changes nothing, and counts
the frames that were decoded before the first one wanted; exit code 1 if these are more than a group
of pictures, or the time at 90 % is more than three times that at 5 %.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path

import av
import numpy as np
from torch import nn

CHECKOUT = Path(__file__).resolve().parents[1]
CODECS = {'H.264': 'libx264', 'HEVC': 'libx265'}
MOST_TIMES = 3


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--length', type=int, default=1000, help='frames (default: 1000)')
    parser.add_argument('--size', type=int, nargs=2, default=(640, 360), metavar=('W', 'H'))
    parser.add_argument(
        '--gop', type=int, nargs='+', default=[50, 250], help='frames from keyframe to keyframe'
    )
    parser.add_argument('--repeat', type=int, default=5, help='the median counts (default: 5)')
    return parser.parse_args()


def main() -> None:
    """Measure."""
    args = parse_args()
    sys.path.insert(0, str(CHECKOUT))
    early, late = args.length // 20, args.length * 9 // 10
    good = True
    print('| codec | GOP | read by | first frame wanted | decoded before it | time to it |')
    print('| --- | ---: | --- | ---: | ---: | ---: |')
    with tempfile.TemporaryDirectory(prefix='check_seeking_') as folder:
        for gop, (name, codec) in product(args.gop, CODECS.items()):
            video = write_video(Path(folder) / f'{codec}_{gop}.mp4', codec, gop, args)
            for reader, fresh in (('a new reader', True), ('one that knows the file', False)):
                times = []
                for frame in (early, late):
                    seconds, decoded = first_frame(video, frame, fresh, args.repeat)
                    times.append(seconds)
                    good &= decoded <= gop
                    print_row(name, gop, reader, frame, decoded, f'{1000 * seconds:.0f} ms')
                good &= not fresh or times[1] <= MOST_TIMES * times[0]
            output = Path(folder) / f'{codec}_{gop}_restored.mp4'
            for call, (frame, decoded) in restorations(video, late, output):
                good &= decoded <= gop
                print_row(name, gop, call, frame, decoded, '')
    sys.exit(not good)


def print_row(*cells: object) -> None:
    """Print a row of the table."""
    print('|', ' | '.join(map(str, cells)), '|', flush=True)


def write_video(path: Path, codec: str, gop: int, args: argparse.Namespace) -> Path:
    """Encode a texture that moves by two pixels a frame, and turns back."""
    width, height = args.size
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (height // 8, width // 4, 3), np.uint8)
    texture = texture.repeat(8, axis=0).repeat(8, axis=1)
    options = {'preset': 'medium', 'x265-params': 'log-level=none'}
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = texture.shape[0], width
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.gop_size = gop
        for index in range(args.length):
            left = 2 * index % width
            frame = np.ascontiguousarray(texture[:, left : left + width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
        container.mux(stream.encode())
    return path


def first_frame(video: Path, frame: int, fresh: bool, repeat: int) -> tuple[float, int]:
    """Read one frame; the median of the seconds, and how many frames are decoded before it."""
    from s2svr_mm.io.clips import open_reader
    from s2svr_mm.io.video_index import _index_video

    seconds = []
    with counted_decoding() as calls:
        for _ in range(repeat):
            if fresh:
                _index_video.cache_clear()
            start = time.perf_counter()
            next(open_reader(str(video)).iterate(frame))
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), calls[-1][1]


def restorations(video: Path, frame: int, output: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Restore the end of a video, interrupted on the way.

    Yields:
        tuple[str, tuple[int, int]]: What the first call and the one that resumes read last: the
            first frame that was wanted, and how many were decoded before it.
    """
    from s2svr_mm.restoration.options import OutputOptions
    from s2svr_mm.restoration.restore_video import restore_video
    from s2svr_mm.restoration.restorer import VideoRestorer

    settings = dict(device='cpu', dtype='float32', window=10, overlap=4, tile=0)
    options = OutputOptions(segment=10)
    for name, network in (('--frames A:', Unchanged(5)), ('resumed', Unchanged(None))):
        with counted_decoding() as calls, suppress(KeyboardInterrupt):
            restorer = VideoRestorer(network, **settings)
            restore_video(
                video, output, restorer, frames=(frame, None), options=options, progress=False
            )
        yield name, calls[-1]


@contextmanager
def counted_decoding() -> Iterator[list[tuple[int, int]]]:
    """Count what is decoded for each call that reads: (first frame wanted, frames before it)."""
    from s2svr_mm.io import video

    calls: list[tuple[int, int]] = []
    decoded = 0
    decode, read = video.decode, video.VideoReader._frames

    def counted(*args):
        nonlocal decoded
        for packet, picture in decode(*args):
            decoded += picture is not None
            yield packet, picture

    def noted(reader, start, *args):
        before, first = decoded, True
        for frame in read(reader, start, *args):
            if first:
                calls.append((start, decoded - before - 1))
            first = False
            yield frame

    video.decode, video.VideoReader._frames = counted, noted
    try:
        yield calls
    finally:
        video.decode, video.VideoReader._frames = decode, read


class Unchanged(nn.Module):
    """A network that changes nothing, and is interrupted after some calls."""

    def __init__(self, calls: int | None) -> None:
        super().__init__()
        self.calls = calls

    def forward(self, frames):
        """Return the frames."""
        if self.calls is not None:
            self.calls -= 1
            if self.calls < 0:
                raise KeyboardInterrupt
        return frames


if __name__ == '__main__':
    main()
