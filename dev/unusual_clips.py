# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Write clips unlike those that the bundled networks were trained on, with their ground truth.

Each kind becomes a set for `s2svr compare`, OUT/KIND/lq and OUT/KIND/gt. Text and drawings are
compressed at CRF 23 after they were downsampled:
python dev/unusual_clips.py data/clips/val/gt unusual --scale 4
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

Frames = list[np.ndarray]
_TEXT = 'Restoring video frame by frame, word after word: the quick brown fox 0123456789'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clips', metavar='CLIPS', help='folder of ground-truth clips')
    parser.add_argument('out', metavar='OUT', type=Path, help='folder to write')
    parser.add_argument('--scale', type=int, choices=(1, 2, 4), default=4)
    parser.add_argument('--frames', type=int, default=10, help='frames of each clip (default: 10)')
    parser.add_argument(
        '--side',
        type=int,
        default=384,
        help='side of the square cropped from the centre, in pixels (default: 384)',
    )
    return parser.parse_args()


def main() -> None:
    """Write the clips."""
    args = parse_args()
    if args.out.exists():
        raise SystemExit(f'{args.out} exists: give a new folder')
    from s2svr_mm.datasets.preparation.writing import write_folders
    from s2svr_mm.io.clips import find_clips, open_reader
    from s2svr_mm.io.images import to_levels, to_uint8
    from s2svr_mm.registration import register

    register()
    clips: dict[str, Frames] = {}
    for key, path in find_clips(args.clips).items():
        # One more than asked for: interlacing takes lines of the next frame.
        frames = [to_levels(f.rgb) for f in open_reader(path).iterate(0, args.frames + 1)]
        top, left = (max(side - args.side, 0) // 2 // 4 * 4 for side in frames[0].shape[:2])
        bottom, right = (
            start + min(args.side, side) // 4 * 4
            for start, side in zip((top, left), frames[0].shape[:2], strict=True)
        )
        clips[key] = [np.float32(frame[top:bottom, left:right]) for frame in frames]
    made: list[tuple[str, str, Frames]] = [
        (kind, key, frames) for kind in KINDS for key, frames in clips.items()
    ]
    for kind, draw in (('text', text), ('drawing', drawing)):
        made.append((kind, kind, draw(args.frames + 1, args.side)))
    for kind, key, frames in made:
        truth, degraded = KINDS.get(kind, compressed)(frames, args.scale)
        folders = [args.out / kind / side / key for side in ('lq', 'gt')]
        pairs = zip(map(to_uint8, degraded), map(to_uint8, truth), strict=True)
        write_folders(folders, list(pairs)[: args.frames], args.out)
        print(f'{kind}: {key}')


def downsample(frames: Sequence[np.ndarray], scale: int) -> Frames:
    """Downsample frames by MATLAB's bicubic kernel."""
    from s2svr_mm.datasets.preparation.degradations import degrade_frames

    return list(frames) if scale == 1 else [lq for _, lq in degrade_frames(frames, 'bi', scale)]


def compressed(frames: Frames, scale: int, crf: int = 23) -> tuple[Frames, Frames]:
    """Compress by H.264 after downsampling."""
    from s2svr_mm.datasets.preparation.degradations import degrade_frames

    truth, degraded = zip(*degrade_frames(frames, f'crf{crf}', scale), strict=True)
    return list(truth), list(degraded)


def strongly_compressed(frames: Frames, scale: int) -> tuple[Frames, Frames]:
    """Compress by H.264 at CRF 40."""
    return compressed(frames, scale, 40)


def noisy(frames: Frames, scale: int) -> tuple[Frames, Frames]:
    """Add Gaussian noise of 25 levels to each colour."""
    random = np.random.default_rng(0)
    return frames, [f + random.normal(0, 25, f.shape) for f in downsample(frames, scale)]


def grainy(frames: Frames, scale: int) -> tuple[Frames, Frames]:
    """Add film grain of 8 levels: slightly blurred noise, the same in all colours."""
    random = np.random.default_rng(0)

    def grain(shape: tuple[int, ...]) -> np.ndarray:
        soft = cv2.GaussianBlur(random.normal(0, 1, shape[:2]), (0, 0), 0.7)
        return (8 / soft.std() * soft)[..., None]

    return frames, [f + grain(f.shape) for f in downsample(frames, scale)]


def interlaced(frames: Frames, scale: int) -> tuple[Frames, Frames]:
    """Take every second line from the next frame; the last frame has none and is left out."""
    degraded = [frame.copy() for frame in downsample(frames, scale)]
    for frame, following in pairwise(degraded):
        frame[1::2] = following[1::2]
    return frames[:-1], degraded[:-1]


def dark(frames: Frames, scale: int) -> tuple[Frames, Frames]:
    """Darken to values up to 15 and compress at CRF 23."""
    return compressed([0.06 * frame for frame in frames], scale)


def frozen(frames: Frames, scale: int) -> tuple[Frames, Frames]:
    """Repeat the first frame."""
    return downsampled_or_compressed([frames[0]] * len(frames), scale)


def fading(frames: Frames, scale: int) -> tuple[Frames, Frames]:
    """Darken by 0.6 % from frame to frame."""
    return downsampled_or_compressed([f * 0.994**i for i, f in enumerate(frames)], scale)


def downsampled_or_compressed(frames: Frames, scale: int) -> tuple[Frames, Frames]:
    """Downsample, or at scale 1 compress at CRF 32."""
    return compressed(frames, 1, 32) if scale == 1 else (frames, downsample(frames, scale))


def text(count: int, side: int) -> Frames:
    """Draw a page of text that scrolls by three pixels a frame."""
    words = _TEXT.split()
    page = np.full((side + 3 * count, side, 3), 250, np.uint8)
    for line, y in enumerate(range(14, len(page), 18)):
        x = 4
        for word in range(12):
            shown = words[(5 * line + word) % len(words)] + ' '
            place = (x, y)
            cv2.putText(
                page, shown, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 60), 1, cv2.LINE_AA
            )
            x += cv2.getTextSize(shown, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)[0][0]
    return [np.float32(page[3 * i : 3 * i + side]) for i in range(count)]


def drawing(count: int, side: int) -> Frames:
    """Draw flat shapes with dark outlines that move apart, as in a cartoon."""
    frames = []
    for i in range(count):
        frame = np.full((side, side, 3), (150, 205, 235), np.uint8)
        cv2.rectangle(frame, (0, 3 * side // 4), (side, side), (110, 170, 90), -1)
        for n, color in enumerate([(230, 90, 70), (250, 210, 80), (120, 100, 190)]):
            center = (side // 4 * (n + 1) + 2 * i * (n - 1), side // 2 + i * (2 - n))
            for size, tone in ((side // 9, (30, 30, 30)), (side // 9 - 3, color)):
                cv2.circle(frame, center, size, tone, -1, cv2.LINE_AA)
            cv2.line(frame, center, (center[0], side), (30, 30, 30), 2, cv2.LINE_AA)
        frames.append(np.float32(frame))
    return frames


KINDS: dict[str, Callable[[Frames, int], tuple[Frames, Frames]]] = {
    'crf40': strongly_compressed,
    'noise': noisy,
    'grain': grainy,
    'interlaced': interlaced,
    'dark': dark,
    'frozen': frozen,
    'fading': fading,
}


if __name__ == '__main__':
    main()
