# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr test``: test a checkpoint as its config says."""

import argparse
import os

from .arguments import add_config, add_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = 'Test a checkpoint as its config says.'
    add_config(parser, 'test_dataloader.num_workers=0')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='file, URL or s2svr://NAME')
    add_run(parser)
    parser.add_argument('--out', metavar='FILE.json', help='write the metrics to this file')
    parser.add_argument(
        '--save', metavar='DIR', help='write the restored frames as DIR/<clip>/<frame>.png'
    )


def run(args: argparse.Namespace) -> None:
    """Test."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    from ..registration import register

    register()
    from ..training.config import load_config
    from ..training.runner import run_test

    cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
    run_test(cfg, args.checkpoint, out=args.out, save_dir=args.save)
