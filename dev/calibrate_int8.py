# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Find the ranges of int8 of a bundled network on good clips, degraded as it is meant for.

They are put into s2svr_mm/weights/int8_ranges.json, by the digest of the network's weights:
python dev/calibrate_int8.py s2svr_s_x4 data/clips/train/gt --degrade bi
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('name', metavar='NAME', help='a bundled network')
    parser.add_argument('clips', metavar='CLIPS', help='folder of good clips')
    parser.add_argument('--degrade', nargs='+', required=True, metavar='KIND', help='see compare')
    parser.add_argument('--every', type=int, default=1, metavar='N', help='take each N-th clip')
    return parser.parse_args()


def main() -> None:
    """Find the ranges and write them down."""
    args = parse_args()
    checkout = Path(__file__).resolve().parents[1]
    sys.path.insert(0, str(checkout))

    from s2svr_mm.checkpoints.files import weights_digest
    from s2svr_mm.export.quantization import RANGES, observe_ranges
    from s2svr_mm.models.zoo import load_model

    network = load_model(args.name)
    ranges = observe_ranges(network, inputs(args, network.scale))
    known: dict[str, Any] = json.loads(RANGES.read_text()) if RANGES.exists() else {}
    known = {digest: entry for digest, entry in known.items() if entry['name'] != args.name}
    rounded = {name: [float(f'{end:.5g}') for end in ends] for name, ends in ranges.items()}
    known[weights_digest(network)] = {'name': args.name, 'ranges': rounded}
    ordered = dict(sorted(known.items(), key=lambda item: item[1]['name']))
    RANGES.write_text(json.dumps(ordered, indent=1) + '\n')
    print(f'{args.name}: {len(ranges)} ranges')


def inputs(args: argparse.Namespace, scale: int) -> Iterator[Any]:
    """Yield degraded clips."""
    from s2svr_mm.comparison.clips import degraded_clips
    from s2svr_mm.export.quantization import read_clips
    from s2svr_mm.io.clips import find_clips

    chosen = list(find_clips(args.clips).values())[:: args.every]
    with tempfile.TemporaryDirectory() as folder:
        for path, kind in ((path, kind) for path in chosen for kind in args.degrade):
            made = degraded_clips('clips', path, kind, scale, Path(folder), frames=15)
            yield from chain.from_iterable(read_clips(clip.lq) for clip in made)


if __name__ == '__main__':
    main()
