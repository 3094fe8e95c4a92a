# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Report user errors as one message instead of a traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import S2SVRError

# The input is damaged and what came before the damage was restored.
EXIT_DAMAGED = 3


@contextmanager
def exit_on_user_error(debug: bool = False) -> Iterator[None]:
    """End the program with one message where the user can fix what is wrong.

    That is an :class:`S2SVRError`; any other exception is a bug and passes through.

    Args:
        debug: Whether to show the traceback of those as well.

    Raises:
        SystemExit: With status 1 after the message, 130 after an interrupt, and 141 if whoever
            reads the output is gone (``s2svr ... | head``).
    """
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        if debug:
            raise
        print('interrupted', file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # Python flushes what is left at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except S2SVRError as error:
        if debug:
            raise
        rank = os.environ.get('RANK')
        where = f' (process {rank})' if rank else ''
        print(f'\nerror{where}: {message_of(error)}\n(--debug shows where)', file=sys.stderr)
        sys.exit(1)


def message_of(error: S2SVRError) -> str:
    """Return the message of an error.

    torch raises the error of a data loader's worker again with the same type, but its message is
    then the worker's traceback, which ends in the original message.
    """
    kind = type(error)
    return str(error).rpartition(f'\n{kind.__module__}.{kind.__qualname__}: ')[2].strip()
