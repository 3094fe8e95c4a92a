# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Train a model: python tools/train.py CONFIG."""

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import DictAction


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Train a model.')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir', help='folder for logs and checkpoints (default: work_dirs/<config>)'
    )
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
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, for example train_cfg.max_iters=100',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run were started',
    )
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help='set by launchers'
    )
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    """Train."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / 's2svr_mm').is_dir():
        sys.path.insert(0, str(checkout))

    from s2svr_mm.cli.reporting import exit_on_user_error
    from s2svr_mm.training import runner as api
    from s2svr_mm.training.config import load_config

    with exit_on_user_error(args.debug):
        cfg = load_config(args.config, args.cfg_options, args.work_dir, args.launcher)
        if args.amp:
            api.enable_amp(cfg)
        if args.auto_scale_lr:
            api.enable_auto_scale_lr(cfg)
        if args.resume and api.resume_from_latest(cfg) is None:
            print(f'No checkpoint in {cfg.work_dir} yet: training starts at iteration 0.')
        runner = api.build_runner(cfg)
        runner.train()
        runner.logger.info(f'Logs and checkpoints are in {runner.work_dir}')


if __name__ == '__main__':
    main()
