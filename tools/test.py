# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Test a model: python tools/test.py CONFIG CHECKPOINT."""

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import DictAction


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Test a model.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', metavar='FILE.json', help='write the metrics to this file')
    parser.add_argument(
        '--save', metavar='DIR', help='write the restored frames as DIR/<clip>/<frame>.png'
    )
    parser.add_argument('--work-dir', help='folder for logs (default: work_dirs/<config>)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, for example test_dataloader.num_workers=0',
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
    """Test."""
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
        api.run_test(cfg, args.checkpoint, out=args.out, save_dir=args.save)


if __name__ == '__main__':
    main()
