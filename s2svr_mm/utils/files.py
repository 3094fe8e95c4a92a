# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Atomic writes of files and folders, and errors of a full or protected disk."""

import errno
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from ..errors import ConfigError, OutputError
from .locks import HIDDEN, folder_lock

PART = '.part'
# Half-written files and folders; it is removed only if it holds the mark.
WORK_FOLDER = f'{HIDDEN}/unfinished'
_MARK = 'half-written files of s2svr_mm; may be removed'
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def commit(work: Path, target: Path) -> None:
    """Give what was written its final name, once it is on the disk.

    Args:
        work (Path): A complete file or folder.
        target (Path): Its name to be, on the same disk; an older file is replaced.
    """
    if work.is_file() and not work.is_symlink():
        with open(work, 'rb+') as file:
            os.fsync(file.fileno())
    os.replace(work, target)


def part_of(path: Path) -> Path:
    """Name a file to write to that no other process, on any machine, writes to."""
    return path.with_name(f'{path.name}.{platform.node()}-{os.getpid()}{PART}')


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears complete or not at all.

    Args:
        path (Path): The file; folders are made, an older file is replaced.
        content (bytes): What to write.

    Raises:
        OutputError: It can't be written, for instance with no space left. An older file of that
            name is then untouched and nothing else remains.
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        commit(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if not isinstance(error, OSError):
            raise
        free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
        raise OutputError(
            f'{path}: {len(content) / 2**20:.1f} MB could not be written ({error.strerror}; '
            f'{free / 2**20:.1f} MB free); files written before are as they were'
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as :func:`write_bytes` does."""
    write_bytes(path, text.encode())


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Local files that appear complete or not at all; see :func:`write_bytes`."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write ``obj`` to ``filepath``."""
        write_bytes(Path(filepath), obj)

    def put_text(self, obj: str, filepath: str | os.PathLike, encoding: str = 'utf-8') -> None:
        """Write the text ``obj`` to ``filepath``."""
        write_bytes(Path(filepath), obj.encode(encoding))


@contextmanager
def unfinished(target: Path, root: Path) -> Iterator[Path]:
    """Provide a path to write to that becomes ``target`` once all is written.

    Args:
        target (Path): A file or folder in ``root``; an existing folder is not replaced.
        root (Path): The folder being prepared.

    Yields:
        Path: Where to write; gone again if writing fails.
    """
    folder = root / WORK_FOLDER
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).touch()
    work = folder / '-'.join([str(os.getpid()), *target.relative_to(root).parts])
    _remove(work)
    try:
        yield work
        target.parent.mkdir(parents=True, exist_ok=True)
        commit(work, target)
    except BaseException:
        _remove(work)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clear_unfinished(root: Path) -> None:
    """Remove what an interrupted run left half-written in ``root``."""
    if (root / WORK_FOLDER / _MARK).is_file():
        shutil.rmtree(root / WORK_FOLDER, ignore_errors=True)
        with suppress(OSError):
            (root / HIDDEN).rmdir()


@contextmanager
def disk_errors(
    root: Path, kept: str = 'Everything there that has its final name is complete'
) -> Iterator[None]:
    """Report a full disk in one message.

    Args:
        root (Path): The folder being written to.
        kept (str): What becomes of the work so far, a sentence without its full stop.

    Raises:
        OutputError: Nothing more can be written.
    """
    try:
        yield
    except (OSError, OutputError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError) or cause.errno not in _NO_SPACE:
            raise
        raise OutputError(
            f'No space left for {root} ({cause.strerror}). {kept}: free some space and give the '
            'same command again.'
        ) from error


def make_folder(root: Path, option: str = '--out') -> None:
    """Make a folder, or refuse it before any work.

    Args:
        root (Path): The folder.
        option (str): Where its name was given. Defaults to '--out'.

    Raises:
        ConfigError: It can't be made or written to.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f'{option} {root} cannot be made: {error.strerror}') from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise ConfigError(f'{option} {root} cannot be written to')


@contextmanager
def output_folder(root: Path, option: str = '--out') -> Iterator[None]:
    """Make a folder and hold it for this process; nothing half-written stays in it.

    Args:
        root (Path): The folder.
        option (str): Where its name was given. Defaults to '--out'.

    Raises:
        ConfigError: It can't be made or written to.
        OutputError: Another process is writing to it, or the disk is full.
    """
    make_folder(root, option)
    with folder_lock(root), disk_errors(root):
        clear_unfinished(root)
        try:
            yield
        finally:
            clear_unfinished(root)
