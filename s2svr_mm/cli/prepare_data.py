# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr prepare-data``: lay out a data set as the configs expect it."""

import argparse
from pathlib import Path

from .arguments import whole_number
from .workers import usable_cores

# Those of datasets/preparation/recipes.py, whose import takes seconds.
PUBLISHED = {
    'reds': 'REDS (seungjunnah.github.io/Datasets/reds)',
    'vimeo90k': 'Vimeo-90K septuplets (toflow.csail.mit.edu)',
    'vid4': 'Vid4: calendar, city, foliage and walk',
    'udm10': 'UDM10 (github.com/psychopa4/PFNL)',
    'gopro': 'GOPRO_Large (seungjunnah.github.io/Datasets/gopro)',
    'dvd': 'DVD (cs.ubc.ca/labs/imager/tr/2017/DeepVideoDeblurring)',
    'mfqev2': 'MFQEv2 (github.com/RyanXingQL/MFQEv2.0)',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        'Lay out a data set as the configs expect it. A second call resumes where an interrupted '
        'one ended; the source is only read.'
    )
    names = parser.add_subparsers(dest='name', required=True, metavar='NAME')
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        '--src', type=Path, required=True, metavar='DIR', help='folder with the download'
    )
    common.add_argument(
        '--dst',
        type=Path,
        required=True,
        metavar='DIR',
        help='folder to prepare: data_root of the config',
    )
    common.add_argument(
        '--workers',
        type=whole_number(1, 1024),
        default=usable_cores(),
        metavar='N',
        help='processes (default: one for each processor that this one may use)',
    )
    # So that it may follow NAME, as the other options do.
    common.add_argument(
        '--debug', action='store_true', default=argparse.SUPPRESS, help=argparse.SUPPRESS
    )
    for name, title in PUBLISHED.items():
        one = names.add_parser(name, parents=[common], help=title)
        one.add_argument(
            '--copy', action='store_true', help='copy the clips (default: link to the download)'
        )
        one.add_argument(
            '--allow-partial',
            action='store_true',
            help='prepare what is there instead of stopping at what is missing or damaged',
        )
        one.add_argument(
            '--degradations',
            nargs='+',
            metavar='KIND',
            help='degraded versions to make if the download lacks them (default: those that the '
            'configs use)',
        )
    own = names.add_parser(
        'clips', parents=[common], help='your own videos, folders of frames or raw YUV files'
    )
    own.add_argument(
        '--degradation',
        default='bi',
        metavar='KIND',
        help="how the good frames are degraded: 'bi' (bicubic, default), 'bd' (Gaussian blur and "
        "sampling), 'blur' (mean of 7 frames), 'qp37' (x265 at a constant QP), 'crf23' (bicubic, "
        "then H.264 at a constant rate factor), 'real' (soft, bicubic, noisy, H.264 at CRF 25)",
    )
    own.add_argument(
        '--scale',
        type=whole_number(1, 16),
        default=4,
        metavar='N',
        help="factor of downsampling; 'blur' and 'qp37' keep the size (default: 4)",
    )
    own.add_argument(
        '--val',
        nargs='+',
        default=[],
        metavar='CLIP',
        help='clips to validate on (default: the last one)',
    )
    own.add_argument(
        '--halved',
        action='store_true',
        help='also train on each clip at half its size, where soft video is sharp',
    )
    own.add_argument(
        '--photos',
        type=Path,
        metavar='DIR',
        help='photographs to train on as well, each as a clip without motion',
    )


def run(args: argparse.Namespace) -> None:
    """Prepare."""
    from ..registration import register

    register()
    from ..datasets.preparation import RECIPES, prepare_clips, prepare_published

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
        return
    prepare_published(
        RECIPES[args.name],
        args.src,
        args.dst,
        args.degradations,
        args.copy,
        args.allow_partial,
        args.workers,
    )
