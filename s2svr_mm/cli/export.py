# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr export``: write a network as ONNX files."""

import argparse
from pathlib import Path

from ..errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        'Write the steps of a network as ONNX files, with a manifest that says how they are '
        'called (docs/export.md). Needs the extra onnx.'
    )
    parser.add_argument(
        'network', metavar='NAME|CONFIG', help='a bundled model, or the config file of another one'
    )
    parser.add_argument('out', metavar='OUT', type=Path, help='folder to write')
    parser.add_argument(
        '--checkpoint', metavar='FILE', help="a config's weights: file, URL, s2svr://NAME"
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help='quantize convolutions to 8 bits, with the ranges stored for the bundled models',
    )
    parser.add_argument(
        '--calibrate',
        metavar='CLIPS',
        help='with --int8: calibrate the ranges on CLIPS, a folder of clips like those that the '
        'network will restore',
    )


def run(args: argparse.Namespace) -> None:
    """Export."""
    bundled = not Path(args.network).suffix
    if bundled == bool(args.checkpoint):
        raise ConfigError(
            f'{args.network} is a bundled model, which has its weights: leave --checkpoint out'
            if bundled
            else f'{args.network} is a config: give its weights with --checkpoint'
        )
    if args.calibrate and not args.int8:
        raise ConfigError('--calibrate goes with --int8')
    from ..registration import register

    register()
    from ..export.backends import import_package
    from ..export.conversion import check_folder, export_network
    from ..export.quantization import (
        bundled_ranges,
        check_quantizable,
        observe_ranges,
        read_clips,
    )
    from ..models.zoo import load_model

    import_package('onnx', 's2svr export')
    # Before the conversion, which takes seconds.
    check_folder(args.out)
    network = load_model(args.network, args.checkpoint)
    ranges = None
    if args.calibrate:
        ranges = observe_ranges(check_quantizable(network), read_clips(args.calibrate))
    elif args.int8:
        ranges = bundled_ranges(network)
    name = args.network if bundled else Path(args.network).stem
    exported = export_network(network, name, ranges)
    exported.write(args.out)
    size = sum(map(len, exported.graphs.values())) / 1e6
    print(f'{args.network} -> {args.out}: {", ".join(exported.graphs)}; {size:.1f} MB')
    if exported.manifest['flow_outside']:
        print(exported.manifest['flow_outside'])
