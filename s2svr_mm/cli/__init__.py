# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The command line: ``s2svr COMMAND ...``.

A command is a module of this package with two functions: ``add_arguments(parser)``, which needs the
standard library alone so that ``--help`` answers at once, and ``run(args)``, which returns the exit
status (None for 0).
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from ..version import __version__
from .arguments import add_debug
from .reporting import exit_on_user_error

COMMANDS = {
    'restore': 'restore a video, a folder of frames or raw YUV',
    'web': 'serve a page that restores videos',
    'compare': 'compare networks on clips: table, figures, report',
    'models': 'list the bundled models',
    'train': 'train the model of a config',
    'test': 'test a checkpoint as its config says',
    'train-details': 'train the detail branch of a network alone',
    'export': 'write a network as ONNX files',
    'prepare-data': 'lay out a data set as the configs expect it',
    'convert-weights': 'convert weights of the official S2SVR, ARFlow or BasicSR',
    'evaluate-flow': 'measure flow estimators on clean and degraded frames',
    'doctor': 'check the installed packages',
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: The command and its arguments. Defaults to None, those of the process.

    Returns:
        int: The exit status. A user error (S2SVRError) ends in one message and SystemExit.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(
        prog='s2svr',
        description='Restore videos with S2SVR (ICML 2022), train it and compare it. '
        "'s2svr COMMAND --help' explains a command.",
    )
    parser.add_argument('--version', action='version', version=f's2svr_mm {__version__}')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, about in COMMANDS.items():
        command = commands.add_parser(name, help=about)
        if argv[:1] == [name]:
            module = import_module(f'.{name.replace("-", "_")}', __name__)
            module.add_arguments(command)
            add_debug(command)
    if not argv:
        parser.print_help()
        return 0
    args = parser.parse_args(argv)
    with exit_on_user_error(args.debug):
        return module.run(args) or 0
