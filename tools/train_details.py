# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Train the detail branch alone: python tools/train_details.py CONFIG --out FILE."""

import argparse
import json
import sys
from pathlib import Path

from mmengine.config import DictAction


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Train the detail branch of an S2SVRPlusNet by itself, '
        'on what it sees of clips of the training data, kept in memory: a tenth of the time a '
        'pixel. Writes a checkpoint from which tools/train.py goes on with the whole network '
        '(--cfg-options load_from=FILE), and FILE.jsonl, the log.'
    )
    parser.add_argument('config', metavar='CONFIG', help='config file')
    parser.add_argument('--out', metavar='FILE', required=True, help='checkpoint to write')
    parser.add_argument('--clips', type=int, default=500, help='clips to read (default: 500)')
    parser.add_argument('--iters', type=int, default=10000, help='steps (default: 10000)')
    parser.add_argument('--lr', type=float, default=1.5e-3, help='rate (default: 1.5e-3)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config; load_from=FILE goes on with a network: its branch '
        'learns what the rest leaves',
    )
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    """Train."""
    args = parse_args()
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / 's2svr_mm').is_dir():
        sys.path.insert(0, str(checkout))

    from s2svr_mm.cli.reporting import exit_on_user_error

    with exit_on_user_error(args.debug):
        train(args)


def train(args: argparse.Namespace) -> None:
    """Collect, train, save."""
    from s2svr_mm.checkpoints.files import save_weights
    from s2svr_mm.training.config import load_config
    from s2svr_mm.training.detail_branch import build_model, collect_details, train_details

    cfg = load_config(args.config, args.cfg_options)
    model = build_model(cfg)
    # Where it can't be written, that shows before the clips are read. Line by line, as it comes.
    with open(f'{args.out}.jsonl', 'w', buffering=1) as log:
        clips = collect_details(model, cfg.train_dataloader, args.clips, progress=True)
        for step, gain in train_details(model.generator.details, clips, args.iters, args.lr):
            entry = json.dumps(dict(iter=step, gain=round(gain, 4)))
            print(entry, flush=True)
            log.write(entry + '\n')
    save_weights(model.state_dict(), args.out)


if __name__ == '__main__':
    main()
