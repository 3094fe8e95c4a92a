# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr evaluate-flow``: measure flow estimators on clean and degraded frames."""

import argparse

from .arguments import add_device

_DEGRADATIONS = ['clean', 'sr', 'compress', 'blur']


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Measure flow estimators on clean and degraded frames, beside zero flow and OpenCV's DIS."
    )
    parser.add_argument(
        'data',
        metavar='DATA',
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
        choices=_DEGRADATIONS,
        default=_DEGRADATIONS,
        help='frames to measure on: as they are, x4 bicubic down, x265 at QP 37, motion blur',
    )
    parser.add_argument(
        '--out',
        nargs='+',
        default=[],
        metavar='FILE',
        help='write the table to FILE.md, all figures to FILE.csv',
    )
    parser.add_argument('--pictures', metavar='DIR', help='folder for colour images of the flows')
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Measure."""
    from ..registration import register

    register()
    from mmengine.registry import init_default_scope

    from ..comparison.flow import baselines, build_estimator, evaluate_flow
    from ..errors import ConfigError
    from ..utils.devices import pick_device

    if wrong := [file for file in args.out if not file.endswith(('.md', '.csv'))]:
        raise ConfigError(f'--out writes .md and .csv, got {wrong[0]}')
    init_default_scope('mmagic')
    device = str(pick_device(args.device))
    models = [
        build_estimator(name, config, None if checkpoint == '-' else checkpoint, device)
        for name, config, checkpoint in args.model
    ]
    estimators = [*baselines(), *models]
    table = evaluate_flow(estimators, args.data, args.degradations, device, args.pictures)
    for file in args.out:
        table.write(file)
    print(table.to_markdown())
