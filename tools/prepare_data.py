# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Lay out a data set as the configs expect it: python tools/prepare_data.py NAME --src --dst."""

import argparse
import os
import sys
from pathlib import Path


def parse_args(recipes: dict) -> argparse.Namespace:
    """Read the command line.

    Args:
        recipes: The published data sets by name.
    """
    parser = argparse.ArgumentParser(
        description='Lay out a data set as the configs expect it. A second call goes on where an '
        'interrupted one ended; the source is only read.'
    )
    names = parser.add_subparsers(dest='name', required=True, metavar='NAME')
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument('--src', type=Path, required=True, help='folder with the download')
    common.add_argument(
        '--dst', type=Path, required=True, help='folder to prepare: data_root of the config'
    )
    common.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes (default: all cores)'
    )
    common.add_argument('--debug', action='store_true', help='show the traceback of an error')
    for name, recipe in recipes.items():
        one = names.add_parser(name, parents=[common], help=recipe.title)
        one.add_argument(
            '--copy', action='store_true', help='copy the clips (default: link to the download)'
        )
        one.add_argument(
            '--allow-partial',
            action='store_true',
            help='go on with what is there instead of stopping at what is missing or damaged',
        )
        if recipe.degraded:
            known = dict.fromkeys(part.degradation for part in recipe.degraded)
            one.add_argument(
                '--degradations',
                nargs='+',
                choices=list(known),
                default=list(recipe.default_degradations),
                help='degraded versions to make if the download lacks them (default: %(default)s)',
            )
    own = names.add_parser(
        'clips', parents=[common], help='your own videos, folders of frames or raw YUV files'
    )
    own.add_argument(
        '--degradation',
        default='bi',
        help="how good frames are made bad: 'bi' (bicubic, default), 'bd' (Gaussian blur and "
        "sampling), 'blur' (mean of 7 frames), 'qp37' (x265 at a constant QP)",
    )
    own.add_argument('--scale', type=int, default=4, help="for 'bi' and 'bd' (default: 4)")
    own.add_argument(
        '--val', nargs='+', default=[], help='clips to validate on (default: the last one)'
    )
    own.add_argument(
        '--halved',
        action='store_true',
        help='each clip to train on a second time at half its size, where soft video is sharp',
    )
    own.add_argument(
        '--photos',
        type=Path,
        metavar='DIR',
        help='photographs to train on besides, each a clip that stands still',
    )
    return parser.parse_args()


def main() -> None:
    """Prepare."""
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / 's2svr_mm').is_dir():
        sys.path.insert(0, str(checkout))

    from s2svr_mm.cli.reporting import exit_on_user_error
    from s2svr_mm.datasets.preparation import RECIPES, prepare_clips, prepare_published

    args = parse_args(RECIPES)
    with exit_on_user_error(args.debug):
        if args.name == 'clips':
            prepare_clips(
                args.src,
                args.dst,
                args.degradation,
                args.scale,
                args.val,
                args.workers,
                halved=args.halved,
                photos=args.photos,
            )
        else:
            prepare_published(
                RECIPES[args.name],
                args.src,
                args.dst,
                getattr(args, 'degradations', None),
                args.copy,
                args.allow_partial,
                args.workers,
            )


if __name__ == '__main__':
    main()
