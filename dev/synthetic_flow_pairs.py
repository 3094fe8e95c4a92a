# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Make pairs with known flow of a person's clips, in Middlebury's layout, to choose by.

python dev/synthetic_flow_pairs.py data/clips/val/gt synthetic
s2svr evaluate-flow synthetic --model NAME CONFIG CHECKPOINT
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('clips', type=Path, help='folder of clips')
    parser.add_argument('out', type=Path, help='folder to write to, new or empty')
    parser.add_argument('--pairs', type=int, default=2, help='of each clip (default: 2)')
    parser.add_argument('--size', type=int, nargs=2, default=(384, 288), metavar=('W', 'H'))
    parser.add_argument('--max-motion', type=float, default=16.0, help='pixels (default: 16)')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    if args.out.is_dir() and any(args.out.iterdir()):
        parser.error(f'{args.out} is not empty')
    return args


def main() -> None:
    """Write the pairs."""
    args = parse_args()
    import math

    import cv2
    import mmcv
    import numpy as np
    import torch

    from s2svr_mm.io.clips import find_clips, open_reader
    from s2svr_mm.io.images import to_levels, to_uint8
    from s2svr_mm.ops.synthetic_flow import synthetic_pair

    torch.manual_seed(args.seed)
    margin = 2 * math.ceil(args.max_motion)
    width, height = args.size[0] + margin, args.size[1] + margin
    for key, path in find_clips(str(args.clips)).items():
        frames = [to_levels(frame.rgb) for frame in open_reader(path).iterate()]
        if frames[0].shape[0] < height or frames[0].shape[1] < width:
            sys.exit(f'{path} is smaller than {width}x{height}: give a smaller --size.')
        for number in range(args.pairs):
            # The layers of a pair are two frames far apart.
            first = number * len(frames) // args.pairs
            second = (first + len(frames) // 2) % len(frames)
            layers = np.stack([frames[index][:height, :width] for index in (first, second)])
            clean = torch.from_numpy(layers).permute(0, 3, 1, 2).float() / 255
            ref, supp, flow = (
                x[0].permute(1, 2, 0).numpy()
                for x in synthetic_pair(clean, args.max_motion, variation=0.3)
            )
            folder = args.out / f'{key}_{number}'
            folder.mkdir(parents=True)
            for name, frame in (('frame10', ref), ('frame11', supp)):
                cv2.imwrite(str(folder / f'{name}.png'), to_uint8(255 * frame)[..., ::-1])
            mmcv.flowwrite(np.ascontiguousarray(flow), str(folder / 'flow10.flo'))


if __name__ == '__main__':
    main()
