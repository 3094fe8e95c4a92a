# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Files and folders that are whole or not there, and locks on folders."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from ..errors import ConfigError, DataError, OutputError

WORK_FOLDER = '.unfinished'
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PART = '.part'


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """Local files that appear complete or not at all."""

    def put(self, obj: bytes, filepath: str | os.PathLike) -> None:
        """Write ``obj`` beside ``filepath`` and move it there once it is on the disk.

        Args:
            obj: What to write.
            filepath: Where to write it; folders are made, an older file is replaced.

        Raises:
            OSError: If it can't be written, for instance with no space left. An older file of
                that name is then untouched and nothing else remains.
        """
        path = Path(filepath)
        part = path.with_name(f'{path.name}.{os.getpid()}{_PART}')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(part, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException as error:
            part.unlink(missing_ok=True)
            if not isinstance(error, OSError):
                raise
            free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else 0
            raise OSError(
                error.errno,
                f'{error.strerror}: {len(obj) / 2**20:.1f} MB could not be written '
                f'({free / 2**20:.1f} MB free); files written before are as they were',
                str(path),
            ) from error

    def put_text(self, obj: str, filepath: str | os.PathLike, encoding: str = 'utf-8') -> None:
        """Write text as :meth:`put` does.

        Args:
            obj: What to write.
            filepath: Where to write it.
            encoding: Its encoding.
        """
        self.put(obj.encode(encoding), filepath)


@contextmanager
def disk_errors(root: Path) -> Iterator[None]:
    """Turn a full disk into one message.

    Args:
        root (Path): The folder being written to.

    Raises:
        DataError: Nothing more can be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise DataError(
            f'No space left for {root} ({error.strerror}). Everything there that has its final '
            'name is complete; free some space and give the same command again.'
        ) from error


@contextmanager
def unfinished(target: Path, root: Path) -> Iterator[Path]:
    """A path to write to that becomes ``target`` once all is written.

    Args:
        target (Path): A file or folder in ``root`` that does not exist yet.
        root (Path): The folder being prepared.

    Yields:
        Path: Where to write; gone again if writing fails.
    """
    work = root / WORK_FOLDER / f'{os.getpid()}-{target.name}'
    work.parent.mkdir(parents=True, exist_ok=True)
    _remove(work)
    try:
        yield work
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(work, target)
    except BaseException:
        _remove(work)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clear_unfinished(root: Path) -> None:
    """Remove what an interrupted run left in ``root``."""
    shutil.rmtree(root / WORK_FOLDER, ignore_errors=True)


def write_text(path: Path, text: str, root: Path) -> None:
    """Write a text file completely or not at all, replacing an older one."""
    with unfinished(path, root) as work:
        work.write_text(text, encoding='utf-8')


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Make a folder and keep it for this process.

    Raises:
        ConfigError: It can't be made or written to.
        OutputError: Another process is at it.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f'--out {root} can not be made: {error.strerror}') from error
    if not os.access(root, os.W_OK):
        raise ConfigError(f'--out {root} can not be written to')
    lock = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise OutputError(f'another process is writing to {root} at this moment') from None
    try:
        clear_unfinished(root)
        yield
    finally:
        clear_unfinished(root)
        os.close(lock)


def check_folder(folder: str) -> None:
    """Refuse a folder that can't be written to, before anything is measured.

    Raises:
        ConfigError: It can't.
    """
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f'--out {folder} can not be made: {error.strerror}') from error
    if not os.access(root, os.W_OK):
        raise ConfigError(f'--out {folder} can not be written to')
