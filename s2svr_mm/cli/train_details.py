# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr train-details``: train the detail branch of a network alone."""

import argparse
import json
from pathlib import Path

from .arguments import add_config, number, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        'Train the detail branch of an S2SVRPlusNet alone, on its inputs for clips of the training '
        'data, which are kept in memory. It takes a tenth of the time per pixel. '
        'Writes a checkpoint from which s2svr train continues with the whole network '
        '(--cfg-options load_from=FILE), and FILE.jsonl, the log.'
    )
    add_config(
        parser, 'load_from=FILE, which continues with a network: its branch learns the residual'
    )
    parser.add_argument('--out', metavar='FILE', required=True, help='checkpoint to write')
    parser.add_argument(
        '--clips', type=whole_number(1), default=500, help='clips to read (default: %(default)s)'
    )
    parser.add_argument(
        '--iters', type=whole_number(1), default=10000, help='steps (default: %(default)s)'
    )
    parser.add_argument(
        '--lr', type=number(0, 1), default=1.5e-3, help='learning rate (default: %(default)s)'
    )


def run(args: argparse.Namespace) -> None:
    """Collect, train, save."""
    from ..registration import register

    register()
    from ..checkpoints.files import save_weights
    from ..training.config import load_config
    from ..training.detail_branch import build_model, collect_details, train_details
    from ..utils.manifest import check_made, note_made, sha256, write_made

    cfg = load_config(args.config, args.cfg_options)
    model = build_model(cfg)
    out = Path(args.out)
    lines: list[str] = []

    def write_log() -> None:
        write_made(out.parent, {f'{out.name}.jsonl': ''.join(lines).encode()})

    # Where it can't be written, that shows before the clips are read.
    check_made(out.parent, [out.name])
    write_log()
    clips = collect_details(model, cfg.train_dataloader, args.clips, progress=True)
    for step, gain in train_details(model.generator.details, clips, args.iters, args.lr):
        lines.append(json.dumps(dict(iter=step, gain=round(gain, 4))) + '\n')
        print(lines[-1], end='', flush=True)
        write_log()
    save_weights(model.state_dict(), out)
    note_made(out.parent, {out.name: sha256(out.read_bytes())})
