# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Measure scene cuts: how many are found in real footage, and the frames beside them."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np

CHECKOUT = Path(__file__).resolve().parents[1]
# Frames are reduced to this before they are changed: a cut detector looks at less.
SIZE = (192, 108)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Measure scene cuts.')
    checks = parser.add_subparsers(dest='check', required=True)
    detector = checks.add_parser('detector', help='cuts that are found, and changes that are none')
    detector.add_argument('--orders', type=int, default=10, help='random orders of the clips')
    detector.add_argument('--pairs', type=int, default=60, help='random pairs of clips')
    film = checks.add_parser('film', help='frames beside cuts against each shot restored alone')
    film.add_argument('--model', default='s2svr_s_x4', help='a bundled model')
    film.add_argument('--degrade', default='bi', help='bi, blur, qp37 ...')
    film.add_argument('--shots', type=int, default=10)
    film.add_argument('--frames', type=int, nargs=2, default=(12, 30), help='of a shot, from, to')
    film.add_argument('--size', type=int, nargs=2, default=(256, 192), metavar=('W', 'H'))
    film.add_argument('--beside', type=int, default=4, help='frames beside a cut, on either side')
    film.add_argument('--device', default='cpu')
    for check in (detector, film):
        check.add_argument('clips', nargs='+', help='clips of one shot each')
        check.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    """Measure."""
    args = parse_args()
    sys.path.insert(0, str(CHECKOUT))
    from s2svr_mm.cli.reporting import exit_on_user_error

    with exit_on_user_error(args.debug):
        if args.check == 'film':
            print_film(args)
        else:
            print_detector(args)


def read_small(path: str) -> np.ndarray:
    """Read a clip's frames, reduced to :data:`SIZE`."""
    import cv2

    from s2svr_mm.io.clips import open_reader

    frames = open_reader(path).iterate()
    return np.stack([cv2.resize(f.rgb, SIZE, interpolation=cv2.INTER_AREA) for f in frames])


def found_cuts(frames: Sequence[np.ndarray]) -> set[int]:
    """Numbers of the frames that the detector takes for a scene's first."""
    from s2svr_mm.restoration.scene_cuts import mark_cuts

    return {i for i, (_, cut) in enumerate(mark_cuts(frames, lambda frame: frame)) if cut}


def print_detector(args: argparse.Namespace) -> None:
    """Print precision and recall, and how many clips each change splits."""
    clips = [read_small(path) for path in args.clips]
    rng = np.random.default_rng(0)
    right = wrong = missed = frames = 0
    for _ in range(args.orders):
        parts = []
        for number in rng.permutation(len(clips)):
            length = int(rng.integers(4, len(clips[number]) + 1))
            start = int(rng.integers(0, len(clips[number]) - length + 1))
            parts.append(clips[number][start : start + length])
        expected = set(list(accumulate(map(len, parts)))[:-1])
        found = found_cuts(np.concatenate(parts))
        right, wrong = right + len(found & expected), wrong + len(found - expected)
        missed, frames = missed + len(expected - found), frames + sum(map(len, parts))
    print(
        f'{len(clips)} clips in {args.orders} random orders, {frames} frames: {right + missed} cuts'
    )
    print(f'precision {right / (right + wrong):.4f}, recall {right / (right + missed):.4f}')
    print('no cut, but split   clips of', len(clips))
    split: Counter[str] = Counter()
    for clip in clips:
        for name, change in CHANGES.items():
            split[name] += bool(found_cuts(to_bytes(change(clip.astype(np.float32)))))
    for name in CHANGES:
        print(f'{name:<28}{split[name]:>4}')
    print(f'{args.pairs} pairs of clips             split   one cut, at its place')
    for name, join in PAIRS.items():
        several = exact = 0
        for _ in range(args.pairs):
            one, other = (clips[i][:24].astype(np.float32) for i in rng.permutation(len(clips))[:2])
            found = found_cuts(to_bytes(join(one, other)))
            several, exact = several + bool(found), exact + (found == {len(one)})
        print(f'{name:<28}{several:>6}{exact:>8}')


def to_bytes(frames: np.ndarray) -> np.ndarray:
    """Frames as 8 bits hold them."""
    return frames.clip(0, 255).astype(np.uint8)


def at_middle(clip: np.ndarray, frames: int, change: Callable) -> np.ndarray:
    """Change so many frames in the middle of a clip."""
    middle = len(clip) // 2
    return np.concatenate(
        [clip[:middle], change(clip[middle : middle + frames]), clip[middle + frames :]]
    )


def faded(clip: np.ndarray, frames: int, level: float) -> np.ndarray:
    """Fade a clip in from a level of grey."""
    gain = np.ones((len(clip), 1, 1, 1), np.float32)
    gain[:frames, 0, 0, 0] = np.arange(min(frames, len(clip))) / frames
    return clip * gain + level * (1 - gain)


def panned(clip: np.ndarray, share: float) -> np.ndarray:
    """Move over the first frame, and its mirror image, by a share of the width each frame."""
    width = clip.shape[2]
    wide = np.concatenate([clip[0], clip[0][:, ::-1]] * 4, axis=1)
    places = (np.arange(24) * share * width).astype(int) % (6 * width)
    return np.stack([wide[:, x : x + width] for x in places])


def noisy(clip: np.ndarray, sigma: float) -> np.ndarray:
    """Add white noise."""
    return clip + np.random.default_rng(0).normal(0, sigma, clip.shape)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'as they are': lambda clip: clip,
    'flash, 1 frame': lambda clip: at_middle(clip, 1, lambda part: 1.3 * part + 90),
    'flash, 4 frames': lambda clip: at_middle(clip, 4, lambda part: 1.3 * part + 90),
    '2 white frames': lambda clip: at_middle(clip, 2, lambda part: 0 * part + 255),
    '1 black frame': lambda clip: at_middle(clip, 1, lambda part: 0 * part),
    'fade from black, 6 frames': lambda clip: faded(clip, 6, 0),
    'fade from black, 24 frames': lambda clip: faded(clip, 24, 0),
    'fade to black, 12 frames': lambda clip: faded(clip[::-1], 12, 0)[::-1],
    'fade from white, 12 frames': lambda clip: faded(clip, 12, 255),
    'pan, 4 % of the width': lambda clip: panned(clip, 0.04),
    'pan, 10 % of the width': lambda clip: panned(clip, 0.1),
    'pan, 15 % of the width': lambda clip: panned(clip, 0.15),
    'noise, sigma 12': lambda clip: noisy(clip, 12),
    'dark, 8 % of the light': lambda clip: noisy(0.08 * clip, 3),
}


def dissolved(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Let one clip dissolve into another over 12 frames."""
    weight = (np.arange(1, 13, dtype=np.float32) / 13).reshape(-1, 1, 1, 1)
    mixed = one[-12:] * (1 - weight) + other[:12] * weight
    return np.concatenate([one[:-12], mixed, other[12:]])


PAIRS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    'cut': lambda one, other: np.concatenate([one, other]),
    'cut, both dark and noisy': lambda one, other: noisy(0.08 * np.concatenate([one, other]), 3),
    'cut into the dark': lambda one, other: noisy(np.concatenate([one, 0.08 * other]), 3),
    'cut out of the dark': lambda one, other: noisy(np.concatenate([0.08 * one, other]), 3),
    'dissolve, 12 frames': dissolved,
}


def print_film(args: argparse.Namespace) -> None:
    """Print what a film of several shots loses against each shot restored alone."""
    from s2svr_mm.models.zoo import load_model
    from s2svr_mm.restoration.restorer import VideoRestorer
    from s2svr_mm.utils.metrics import psnr

    shots = read_shots(args)
    truth = [gt for shot in shots for gt, _ in shot]
    lq = [frame for shot in shots for _, frame in shot]
    network = load_model(args.model)
    restorer = {
        cuts: VideoRestorer(network, args.device, 'float32', 60, 16, 0, scene_cuts=cuts)
        for cuts in (False, True)
    }
    alone = [f for shot in shots for f in restorer[False].restore([frame for _, frame in shot])]
    expected = list(accumulate(map(len, shots)))[:-1]
    print(f'{len(shots)} shots, {len(lq)} frames; cuts before frames', *expected)
    print('found before frames', *sorted(found_cuts(lq)))
    near = np.array([min(abs(i - c + 0.5) for c in expected) < args.beside for i in range(len(lq))])
    print('minus each shot alone, dB   beside cuts   worst frame   elsewhere   worst frame')
    scores = np.array([psnr(a, b) for a, b in zip(alone, truth, strict=True)])
    for cuts, name in ((True, 'scene cuts'), (False, '--no-scene-cuts')):
        found = restorer[cuts].restore(lq)
        loss = np.array([psnr(a, b) for a, b in zip(found, truth, strict=True)]) - scores
        cells = [f(loss[where]) for where in (near, ~near) for f in (np.mean, np.min)]
        print(f'{name:<28}{cells[0]:>11.3f}{cells[1]:>14.3f}{cells[2]:>12.3f}{cells[3]:>14.3f}')


def read_shots(args: argparse.Namespace) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Ground truth and degraded frames of shots of random lengths, cropped at the centre."""
    from itertools import islice

    from s2svr_mm.datasets.preparation.degradations import degrade_frames
    from s2svr_mm.io.clips import open_reader
    from s2svr_mm.models.input_requirements import scale_of
    from s2svr_mm.models.zoo import load_model

    rng = np.random.default_rng(0)
    width, height = args.size
    scale = scale_of(load_model(args.model))
    shots = []
    for number in rng.permutation(len(args.clips))[: args.shots]:
        length = int(rng.integers(args.frames[0], args.frames[1] + 1))
        frames = []
        # Averages of seven frames are fewer than these.
        for frame in islice(open_reader(args.clips[number]).iterate(), length + 6):
            top, left = (frame.rgb.shape[0] - height) // 2, (frame.rgb.shape[1] - width) // 2
            frames.append(frame.rgb[top : top + height, left : left + width])
        pairs = degrade_frames(iter(frames), args.degrade, scale)
        levels = [
            (np.asarray(gt), np.asarray(lq).round().clip(0, 255).astype(np.uint8))
            for gt, lq in islice(pairs, length)
        ]
        shots.append(levels)
    return shots


if __name__ == '__main__':
    main()
