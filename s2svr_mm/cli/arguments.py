# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Arguments that several commands share, and the types of their values."""

import argparse
import re
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..restoration.defaults import OVERLAP, TILE_OVERLAP
from ..restoration.output_size import LARGEST_SCALE, OutputSize, default_model

if TYPE_CHECKING:
    from ..restoration.restorer import VideoRestorer

# More than any machine holds; a larger number is a typing error.
_MOST = 10**9


def whole_number(least: int, most: int = _MOST) -> Callable[[str], int]:
    """Make an argparse type for whole numbers in a range.

    Args:
        least: The least number.
        most: The greatest. Defaults to a billion.

    Returns:
        Callable[[str], int]: The type.
    """

    def parse(text: str) -> int:
        # int() alone also takes '1_000' and digits of other scripts.
        if not re.fullmatch(r'[+-]?[0-9]{1,18}', text) or not least <= int(text) <= most:
            limit = f'from {least}' if most == _MOST else f'from {least} to {most}'
            raise argparse.ArgumentTypeError(f'{text!r} is not a whole number {limit}')
        return int(text)

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """Make an argparse type for numbers from ``least`` to ``most``."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float('nan')
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f'{text!r} is not a number from {least} to {most}')
        return value

    return parse


def frame_range(text: str) -> tuple[int, int | None]:
    """Parse ``FIRST:END``, each of them optional, into a half-open range of frames."""
    match = re.fullmatch(r'([0-9]{0,9}):([0-9]{0,9})', text)
    first, end = (int(part) if part else None for part in match.groups()) if match else (0, 0)
    if end is not None and end <= (first or 0):
        raise argparse.ArgumentTypeError(f'{text!r} is not FIRST:END, such as 10:50, 10: or :50')
    return first or 0, end


def frame_size(text: str) -> tuple[int, int]:
    """Parse ``WIDTHxHEIGHT`` into (width, height)."""
    match = re.fullmatch(r'([0-9]{1,5})x([0-9]{1,5})', text)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if min(size) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not WIDTHxHEIGHT, such as 352x288')
    return size


def scale(text: str) -> str:
    """Parse a scale, such as '2', into the size '2x'."""
    return f'{whole_number(1, LARGEST_SCALE)(text)}x'


def output_size(text: str) -> str:
    """Check a size of the output, such as '1920x1080' or '1080p'."""
    try:
        OutputSize.parse(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def frame_rate(text: str) -> Fraction:
    """Parse a frame rate, such as '25', '23.976' or '30000/1001'."""
    match = re.fullmatch(r'[0-9]{1,9}(\.[0-9]{1,9}|/[0-9]{1,9})?', text)
    rate = Fraction(text) if match and not re.search(r'/0+$', text) else Fraction(0)
    if not 0 < rate <= 10**6:
        raise argparse.ArgumentTypeError(f'{text!r} is not a frame rate, such as 25 or 30000/1001')
    return rate


def memory_size(text: str) -> int:
    """Parse an amount of memory, such as '800M' or '6G', into bytes."""
    match = re.fullmatch(r'([0-9]{1,6}(?:\.[0-9]{1,6})?)([MG])B?', text.upper())
    size = int(float(match[1]) * {'M': 2**20, 'G': 2**30}[match[2]]) if match else 0
    if size < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not an amount of memory, such as 800M or 6G')
    return size


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Add ``--debug``, which every command has."""
    parser.add_argument('--debug', action='store_true', help='show the traceback of an error')


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the argument that turns the progress bar off."""
    parser.add_argument('--quiet', action='store_true', help='no progress bar')


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add the device that networks run on."""
    parser.add_argument('--device', default='auto', help='cpu, cuda, cuda:1 ... (default: auto)')


def add_model(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the network that a command runs: a bundled one, or a config with its checkpoint."""
    group = parser.add_argument_group('model')
    group.add_argument(
        '--model', metavar='NAME', help=f'a bundled model, see below (default: {default})'
    )
    group.add_argument('--config', metavar='FILE', help='config file of another model')
    group.add_argument('--checkpoint', metavar='FILE', help='its weights: file, URL, s2svr://NAME')


def add_restorer(parser: argparse.ArgumentParser, dtype: str) -> argparse._ArgumentGroup:
    """Add the settings of a VideoRestorer; :func:`restorer_settings` reads them.

    Args:
        parser: The command's parser.
        dtype: The default of ``--dtype``.

    Returns:
        argparse._ArgumentGroup: The group, to which a command can add settings of its own.
    """
    group = parser.add_argument_group('how networks run (default: what fits in memory)')
    add_device(group)
    group.add_argument(
        '--dtype',
        choices=['auto', 'float32', 'bfloat16', 'int8'],
        default=dtype,
        help='auto: bfloat16 where the device has it and the first frames stay within 0.05 dB; '
        'int8: needs --backend openvino, onnxruntime or auto (default: %(default)s)',
    )
    group.add_argument(
        '--backend',
        choices=['torch', 'openvino', 'onnxruntime', 'auto'],
        default='torch',
        help='what computes S2SVR and BasicVSR on a CPU (extras openvino, onnx); auto: the fastest '
        'on the first frames (default: %(default)s)',
    )
    group.add_argument(
        '--window', type=whole_number(1), metavar='N', help='frames that a network sees at once'
    )
    group.add_argument(
        '--overlap',
        type=whole_number(0),
        metavar='N',
        help=f'frames that neighbouring windows share (default: {OVERLAP})',
    )
    group.add_argument(
        '--tile',
        type=whole_number(0),
        metavar='N',
        help='side of tiles in pixels, overlaps included; 0 for whole frames',
    )
    group.add_argument(
        '--tile-overlap',
        type=whole_number(0),
        default=TILE_OVERLAP,
        metavar='N',
        help='pixels that neighbouring tiles share (default: %(default)s)',
    )
    group.add_argument(
        '--no-scene-cuts',
        dest='scene_cuts',
        action='store_false',
        help='treat the whole video as one scene',
    )
    group.add_argument(
        '--tta', action='store_true', help='average over 8 flips and rotations: 8 times slower'
    )
    return group


def restorer_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return what :func:`add_restorer` added, as arguments of VideoRestorer."""
    names = ('device', 'dtype', 'backend', 'window', 'overlap', 'tile', 'tile_overlap', 'tta')
    return {name: getattr(args, name) for name in (*names, 'scene_cuts')}


def load_restorer(
    args: argparse.Namespace, frame: tuple[int, int] | None, announce: bool = True, **settings: Any
) -> 'VideoRestorer':
    """Load the network that ``s2svr restore`` was given, or the default.

    Args:
        args: The command's arguments.
        frame: Height and width of the input; None for several inputs.
        announce: Whether to print which model is the default. Defaults to True.
        **settings: Settings that replace those of the command line.

    Returns:
        VideoRestorer: The network with its settings.
    """
    from ..models.zoo import load_model
    from ..restoration.restorer import VideoRestorer

    model = args.model or args.config
    if model is None:
        model = default_model(args.size, frame)
        if announce:
            of = ' for that size' if args.size else ''
            print(f'model: {model}, the default{of}; --model chooses another')
    network = load_model(model, args.checkpoint)
    settings = {**restorer_settings(args), 'size': args.size, **settings}
    return VideoRestorer(network, memory_limit=args.memory, offload=args.offload, **settings)


def add_config(parser: argparse.ArgumentParser, example: str) -> None:
    """Add a config and the options that change it.

    Args:
        parser: The command's parser.
        example: A pair of key and value for the help.
    """
    from mmengine.config import DictAction

    parser.add_argument('config', metavar='CONFIG', help='config file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help=f'change settings of the config, for example {example}',
    )


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that training and testing share besides the config."""
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        help='folder for logs and checkpoints (default: work_dirs/<config>)',
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
