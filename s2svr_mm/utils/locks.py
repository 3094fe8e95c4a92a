# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A lock on a folder, so that two processes never write to it at the same time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import OutputError

# What this package keeps for itself in folders that it writes to lies in this folder of theirs.
HIDDEN = '.s2svr_mm'


@contextmanager
def folder_lock(folder: Path, target: Path | None = None) -> Iterator[None]:
    """Hold the lock of a folder; a process that dies gives it up.

    Args:
        folder (Path): An existing folder.
        target (Path, optional): What is being written, for the message. Defaults to None, the
            folder itself.

    Raises:
        OutputError: Another process holds it.
    """
    path = folder / HIDDEN / 'lock'
    lock = FileLock(path)
    try:
        path.parent.mkdir(exist_ok=True)
        lock.acquire(timeout=0)
    # The other one may just have ended and taken the folder of the lock away.
    except (Timeout, FileNotFoundError):
        raise OutputError(
            f'another process is writing to {target or folder} at this moment'
        ) from None
    try:
        yield
    finally:
        # Removed while it is held, or another process could have taken it. Windows does not remove
        # open files; there it stays.
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()
        lock.release()
