# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Start the command line without importing the stack, so that ``s2svr --help`` answers at once.

It lies beside the package because a module inside would import the package first, and with it
torch, mmcv and mmagic.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SWITCH = 'S2SVR_MM_REGISTER'


@contextmanager
def unregistered() -> Iterator[None]:
    """Let ``import s2svr_mm`` leave the process as it is, until the end of the block."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = '0'
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before


def main(*command: str) -> None:
    """Run ``s2svr COMMAND ...`` and end the process.

    Args:
        *command: What stands before the arguments of the process, such as 'train'.
    """
    with unregistered():
        from s2svr_mm.cli import main
    sys.exit(main([*command, *sys.argv[1:]]))


if __name__ == '__main__':
    main()
