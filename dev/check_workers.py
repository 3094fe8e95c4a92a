# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Check several processes that restore one video: killed at random, and how fast they are."""

import argparse
import filecmp
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
_CONTEXT = multiprocessing.get_context('forkserver')


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    checks = parser.add_subparsers(dest='check', required=True)
    kill = checks.add_parser('kill', help='kill -9 random processes at random moments, then resume')
    kill.add_argument('--moments', type=int, default=30)
    kill.add_argument('--frames', type=int, default=160)
    kill.add_argument('--seed', type=int, default=0)
    speed = checks.add_parser('speed', help='time of two processes, each on one core, beside one')
    speed.add_argument('--frames', type=int, default=400)
    speed.add_argument('--rounds', type=int, default=1)
    for check in (kill, speed):
        check.add_argument('--size', type=int, nargs=2, default=(64, 48), metavar=('W', 'H'))
        check.add_argument('--window', type=int, default=24)
        check.add_argument('--overlap', type=int, default=16)
        check.add_argument('--segment', type=int, default=48 if check is speed else 8)
    return parser.parse_args()


def main() -> None:
    """Check."""
    args = parse_args()
    # What the processes import, they import once.
    os.environ['PYTHONPATH'] = str(CHECKOUT)
    os.environ['OMP_NUM_THREADS'] = '1'
    _CONTEXT.set_forkserver_preload(['s2svr_mm.restoration.restore_video'])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_video(folder / 'in.mp4', args.frames, *args.size)
        (check_kills if args.check == 'kill' else check_speed)(args, folder)


def make_video(path: Path, frames: int, width: int, height: int) -> None:
    """Write a video whose frames all differ."""
    import av
    import numpy as np

    with av.open(str(path), 'w') as container:
        video = container.add_stream('libx264', rate=25)
        video.width, video.height = width, height
        y, x = np.mgrid[:height, :width]
        for index in range(frames):
            wave = 127 + 100 * np.sin((x + index) / 5) * np.cos(y / 4)
            rgb = np.repeat(wave[..., None], 3, 2).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(rgb, format='rgb24')))
        container.mux(video.encode())


def work(args: argparse.Namespace, folder: Path, name: str, rank: int, count: int) -> None:
    """Restore as one of several processes; writes down how long the serial part took."""
    import torch

    from s2svr_mm.models.s2svr_net import S2SVRNet
    from s2svr_mm.restoration.checks import Target
    from s2svr_mm.restoration.claims import Worker
    from s2svr_mm.restoration.options import OutputOptions
    from s2svr_mm.restoration.restore_video import Source, restore_source
    from s2svr_mm.restoration.restorer import VideoRestorer
    from s2svr_mm.utils.output_state import OutputState

    if args.check == 'speed' and hasattr(os, 'sched_setaffinity'):
        # Or the one process would decode and encode on the core that is left free.
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = S2SVRNet(mid_channels=8, num_blocks=1, num_layers=2)
    windows = dict(window=args.window, overlap=args.overlap, tile=0)
    restorer = VideoRestorer(network, device='cpu', dtype='float32', **windows)
    # All begin at the same moment.
    (folder / f'{name}.{rank}.ready').touch()
    while not (folder / f'{name}.go').exists():
        time.sleep(0.01)
    summary = restore_source(
        Source(str(folder / 'in.mp4')),
        Target.of(folder / f'{name}.mp4'),
        restorer,
        OutputOptions(segment=args.segment),
        progress=False,
        worker=Worker(rank, count) if count > 1 else None,
        before=OutputState(None),
    )
    if summary is not None:
        (folder / f'{name}.serial').write_text(str(summary.seconds - summary.restoring))


def start(args: argparse.Namespace, folder: Path, name: str, count: int) -> tuple[list, float]:
    """Start processes; returns them, and when they began together."""
    for left in [folder / f'{name}.go', *folder.glob(f'{name}.*.ready')]:
        left.unlink(missing_ok=True)
    processes = [
        _CONTEXT.Process(target=work, args=(args, folder, name, rank, count))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    while len(list(folder.glob(f'{name}.*.ready'))) < count:
        time.sleep(0.01)
    (folder / f'{name}.go').touch()
    return processes, time.monotonic()


def timed(args: argparse.Namespace, folder: Path, name: str, count: int) -> float:
    """Restore with so many processes; returns the seconds."""
    processes, began = start(args, folder, name, count)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return time.monotonic() - began


def check_speed(args: argparse.Namespace, folder: Path) -> None:
    """Print the speed-up of two processes and the share of the work that only one can do."""
    print(f'load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors')
    ratios = []
    for number in range(args.rounds):
        one = timed(args, folder, f'one{number}', 1)
        alone = float((folder / f'one{number}.serial').read_text())
        two = timed(args, folder, f'two{number}', 2)
        ratios.append(one / two)
        same = filecmp.cmp(folder / f'one{number}.mp4', folder / f'two{number}.mp4', shallow=False)
        print(
            f'{args.frames} frames: one process {one:.1f} s, two {two:.1f} s: {one / two:.2f} '
            f'times as fast; serial {alone:.2f} s, {100 * alone / one:.1f} %; '
            f'{"same" if same else "OTHER"} bytes',
            flush=True,
        )
    print(f'median {statistics.median(ratios):.2f} times as fast')


def check_kills(args: argparse.Namespace, folder: Path) -> None:
    """Kill processes at random moments until a number of them is reached; print what became."""
    rng = random.Random(args.seed)
    whole = timed(args, folder, 'straight', 1)
    kills = runs = number = 0
    while kills < args.moments:
        name = f'out{number}'
        output, parts = folder / f'{name}.mp4', folder / f'{name}.mp4.parts'
        while not output.exists():
            count = rng.choice([1, 2, 3])
            processes, _ = start(args, folder, name, count)
            runs += 1
            victims = rng.randint(0, count) if kills < args.moments else 0
            for process in rng.sample(processes, victims):
                time.sleep(rng.random() * whole / 4)
                if process.is_alive():
                    process.kill()
                    kills += 1
            for process in processes:
                process.join()
        assert filecmp.cmp(output, folder / 'straight.mp4', shallow=False), name
        left = sorted(path.name for path in parts.rglob('*')) if parts.exists() else []
        assert not left, left
        number += 1
        print(f'{number} videos, {kills} processes killed', flush=True)
    print(
        f'{kills} processes killed in {runs} runs of 1 to 3: {number} videos of the same bytes as '
        'an uninterrupted one, nothing left beside them'
    )


if __name__ == '__main__':
    main()
