# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Locks on a folder: for one process alone, or for several that share its work.

The operating system holds them (``flock`` and its like), so a process that dies gives them up
whatever killed it, and no time-out is needed.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import OutputError

# What this package keeps for itself in folders that it writes to lies in this folder of theirs.
HIDDEN = '.s2svr_mm'
_MAIN = 'lock'
_PRESENT = 'worker-*.lock'
_POLL_SECONDS = 0.1
# Longest wait for a lock that others hold for a moment only.
_PATIENCE_SECONDS = 10.0
# A lock that a process alone holds is looked at so often before the folder counts as taken.
_LOOKS = 5


@contextmanager
def folder_lock(folder: Path, target: Path | None = None) -> Iterator[None]:
    """Hold the lock of a folder; a process that dies gives it up.

    Args:
        folder (Path): An existing folder.
        target (Path, optional): What is being written, for the message. Defaults to None, the
            folder itself.

    Raises:
        OutputError: Another process holds it, or shares it with others.
    """
    path = folder / HIDDEN / _MAIN
    _make(path.parent)
    lock = try_lock(path)
    if lock is None or _present(path.parent):
        if lock is not None:
            lock.release()
        raise _taken(target or folder)
    try:
        yield
    finally:
        # Removed while it is held, or another process could have taken it. Windows does not remove
        # open files; there it stays.
        with suppress(OSError):
            # Those of processes that shared the folder and are dead.
            for left in path.parent.glob('*.lock'):
                left.unlink()
            path.unlink()
            path.parent.rmdir()
        lock.release()


def try_lock(path: Path) -> FileLock | None:
    """Take a lock if it is free.

    Args:
        path (Path): The file to lock, in an existing folder; it stays when the lock is released.

    Returns:
        FileLock | None: The lock, to be released by any thread; None if another process holds it,
        or its folder has just been taken away.
    """
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=0)
    # Whoever held it may just have ended and taken the folder of the lock away.
    except (Timeout, FileNotFoundError):
        return None
    except PermissionError as error:
        raise OutputError(f'no permission to write to {path.parent}') from error
    return lock


class SharedFolder:
    """A folder that several processes write to, each of which takes locks for parts of the work.

    While any of them is at work, :func:`folder_lock` refuses the folder; :meth:`close` leaves it.

    Args:
        folder (Path): An existing folder.
        target (Path): What is being written, for the message.

    Raises:
        OutputError: A process holds the folder for itself alone.
    """

    def __init__(self, folder: Path, target: Path) -> None:
        self._hidden, self._target = folder / HIDDEN, target
        name = f'worker-{os.getpid()}-{secrets.token_hex(8)}.lock'
        self._presence = FileLock(self._hidden / name, thread_local=False)
        # Somebody may take it for that of a dead process, or the folder away, at this very moment.
        while not (self._presence.is_locked and Path(self._presence.lock_file).exists()):
            self._presence.release()
            _make(self._hidden)
            with suppress(FileNotFoundError):
                self._presence.acquire(timeout=_PATIENCE_SECONDS)

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Keep all others from coming in; what this block does is done by one of them at a time.

        Yields:
            bool: Whether no other process is at work in the folder.
        """
        lock = self._main_lock()
        try:
            yield not _present(self._hidden, self._presence)
        finally:
            lock.release()

    def _main_lock(self) -> FileLock:
        looks = 0
        while looks < _LOOKS:
            _make(self._hidden)
            lock = try_lock(self._hidden / _MAIN)
            if lock is not None:
                return lock
            # One that shares it will soon release it.
            looks = 0 if _present(self._hidden, self._presence) else looks + 1
            time.sleep(_POLL_SECONDS)
        raise _taken(self._target)

    def claim(self, name: str) -> FileLock | None:
        """Take a part of the work, which is this process's until it releases the lock or dies.

        Args:
            name (str): Name of the part.

        Returns:
            FileLock | None: The lock; None if another process has it.
        """
        return try_lock(self._hidden / f'{name}.lock')

    def is_claimed(self, name: str) -> bool:
        """Whether a process, or this one, has a part of the work."""
        # Most have never been, and have no file.
        if not (self._hidden / f'{name}.lock').exists():
            return False
        lock = self.claim(name)
        if lock is not None:
            lock.release()
        return lock is None

    def close(self, finish: Callable[[], bool]) -> None:
        """Leave the folder.

        Args:
            finish (Callable[[], bool]): Called if no other process is left; returns whether there
                is nothing more to do in the folder for anybody.
        """
        with suppress(OSError):
            Path(self._presence.lock_file).unlink()
        self._presence.release()
        main = FileLock(self._hidden / _MAIN, thread_local=False)
        with suppress(Timeout, FileNotFoundError):
            # Of those who leave at the same time one has to be the last.
            main.acquire(timeout=_PATIENCE_SECONDS)
            if not _present(self._hidden) and finish():
                for path in self._hidden.glob('*.lock'):
                    # Another process may have come in and be waiting.
                    if not path.match(_PRESENT):
                        path.unlink(missing_ok=True)
                with suppress(OSError):
                    (self._hidden / _MAIN).unlink(missing_ok=True)
                    self._hidden.rmdir()
        main.release()


def _make(hidden: Path) -> None:
    try:
        hidden.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise OutputError(f'no permission to write to {hidden.parent}') from error


def _taken(target: Path) -> OutputError:
    return OutputError(f'another process is writing to {target} at this moment')


def _present(hidden: Path, own: FileLock | None = None) -> bool:
    """Whether processes share the folder, other than one; what dead ones have left is removed."""
    present = False
    for path in hidden.glob(_PRESENT):
        if own is not None and str(path) == own.lock_file:
            continue
        lock = try_lock(path)
        if lock is None:
            present = present or path.exists()
            continue
        with suppress(OSError):
            path.unlink()
        lock.release()
    return present
