# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr convert-weights``: convert weights of other projects to the names of this one."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Convert weights of the official S2SVR or of ARFlow's PWC-Lite to this project's names, or "
        "of BasicSR's BasicVSR to mmagic's (told apart by the names in SRC). DST loads as a "
        "checkpoint (load_from, s2svr test), or, for PWC-Lite, through the estimator's init_cfg."
    )
    parser.add_argument(
        'src', metavar='SRC', help='checkpoint or bare state dict: a file or the URL of one'
    )
    parser.add_argument('dst', metavar='DST', type=Path, help='file to write')
    parser.add_argument(
        '--to-official', action='store_true', help='convert back to the official names'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace DST if it exists')


def run(args: argparse.Namespace) -> None:
    """Convert."""
    from ..registration import register

    register()
    import torch

    from ..checkpoints.files import read_weights, save_weights
    from ..errors import CheckpointError, OutputError
    from ..models.conversion import ConversionReport, from_official, to_official
    from ..models.conversion_basicsr import from_basicsr_basicvsr, is_basicsr_basicvsr

    if args.dst.exists() and not args.overwrite:
        raise OutputError(f'{args.dst} exists already: choose another name, or --overwrite it')
    weights = read_weights(args.src)
    basicvsr = not args.to_official and is_basicsr_basicvsr(weights)
    convert = to_official if args.to_official else from_official
    report = ConversionReport()
    try:
        converted = (from_basicsr_basicvsr if basicvsr else convert)(weights, report)
    except CheckpointError as error:
        raise CheckpointError(f'{args.src}: {error}') from None
    whole = basicvsr or any(key.startswith('encoder.') for key in converted)
    if whole and not args.to_official:
        converted = {f'generator.{key}': value for key, value in converted.items()}
    if basicvsr:
        converted['step_counter'] = torch.zeros(1)  # mmagic's model counts iterations in it
    save_weights(converted, args.dst)
    print(report)
    print(
        f'{len(weights)} tensors in {args.src} -> {len(converted)} in {args.dst}; '
        f'{len(report.dropped)} that no forward pass uses were dropped'
    )
