# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""``s2svr doctor``: check the installed packages, even where they cannot be imported."""

import argparse

from ..compat.stack import report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: none of its own."""
    parser.description = (
        'Show the packages that s2svr_mm stands on, which of them are missing, broken or untested, '
        'and what to do about it. Exit status: 0 if s2svr_mm can work, else 1.'
    )


def run(args: argparse.Namespace) -> int:
    """Report on the installed packages."""
    return report()
