# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Compare flow estimators: python tools/evaluate_flow.py DATA --model NAME CONFIG CHECKPOINT."""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Measure flow estimators on clean and degraded frames, beside zero flow and '
        "OpenCV's DIS."
    )
    parser.add_argument(
        'data',
        help='folder of scenes with frame10.png, frame11.png, flow10.flo, or with frame_0001.png, '
        'frame_0002.png, flow_0001.flo and, for masks, occlusion_0001.png, invalid_0001.png',
    )
    parser.add_argument(
        '--model',
        nargs=3,
        action='append',
        default=[],
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        help="estimator to measure; CHECKPOINT '-' takes the weights that the config names",
    )
    parser.add_argument(
        '--degradations',
        nargs='+',
        choices=['clean', 'sr', 'compress', 'blur'],
        default=['clean', 'sr', 'compress', 'blur'],
        help='frames to measure on: as they are, x4 bicubic down, x265 at QP 37, motion blur',
    )
    parser.add_argument(
        '--out',
        nargs='+',
        default=[],
        metavar='FILE',
        help='write the table to FILE.md, all figures to FILE.csv',
    )
    parser.add_argument('--pictures', metavar='DIR', help='write the flows in colour')
    parser.add_argument('--device', help='cpu or cuda (default: cuda if there is one)')
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')
    return parser.parse_args()


def main() -> None:
    """Measure."""
    args = parse_args()
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / 's2svr_mm').is_dir():
        sys.path.insert(0, str(checkout))

    from s2svr_mm.cli.reporting import exit_on_user_error
    from s2svr_mm.errors import ConfigError

    with exit_on_user_error(args.debug):
        import torch
        from mmagic.utils import register_all_modules

        from s2svr_mm.comparison.flow import baselines, build_estimator, evaluate_flow

        if wrong := [file for file in args.out if not file.endswith(('.md', '.csv'))]:
            raise ConfigError(f'--out writes .md and .csv, got {wrong[0]}')
        register_all_modules()
        device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
        models = [
            build_estimator(name, config, None if checkpoint == '-' else checkpoint, device)
            for name, config, checkpoint in args.model
        ]
        table = evaluate_flow(
            [*baselines(), *models], args.data, args.degradations, device, args.pictures
        )
        for file in args.out:
            table.write(file)
        print(table.to_markdown())


if __name__ == '__main__':
    main()
