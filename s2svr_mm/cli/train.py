# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr train``: train the model of a config."""

import argparse
import os

from .arguments import add_config, add_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = 'Train the model of a config.'
    add_config(parser, 'train_cfg.max_iters=100')
    add_run(parser)
    parser.add_argument(
        '--resume',
        action='store_true',
        help='continue from the last whole checkpoint in the work dir; start if there is none',
    )
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision (bfloat16 where there is support)'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate by batch size / the config's auto_scale_lr.base_batch_size",
    )


def run(args: argparse.Namespace) -> None:
    """Train."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    from ..registration import register

    register()
    from ..training.config import load_config
    from ..training.runner import run_training

    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    run_training(cfg, resume=args.resume, amp=args.amp, auto_scale_lr=args.auto_scale_lr)
