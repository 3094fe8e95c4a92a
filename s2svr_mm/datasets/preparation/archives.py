# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Unpacking downloaded archives completely or not at all."""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from ...errors import DataError
from ...utils.files import unfinished

ARCHIVE_SUFFIXES = ('.zip', '.tar', '.tar.gz', '.tgz')


def archives_in(source: Path) -> list[Path]:
    """Return the archives at the top of a folder, or the path itself if it is one."""
    if source.is_file():
        return [source]
    return sorted(path for path in source.iterdir() if path.name.endswith(ARCHIVE_SUFFIXES))


def unpack(archive: Path, folder: Path, root: Path) -> Path:
    """Unpack an archive unless that was done before.

    Args:
        archive (Path): A zip or tar file.
        folder (Path): The folder for all archives' contents, in ``root``.
        root (Path): The folder being prepared.

    Returns:
        Path: The folder with this archive's contents.

    Raises:
        DataError: The archive is of another kind, protected or damaged.
    """
    suffix = next((s for s in ARCHIVE_SUFFIXES if archive.name.endswith(s)), archive.suffix)
    target = folder / archive.name.removesuffix(suffix)
    if target.is_dir():
        return target
    try:
        with unfinished(target, root) as work:
            work.mkdir()
            for _ in tqdm(_extract(archive, work), desc=f'Unpacking {archive.name}', unit='files'):
                pass
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(
            f'The archive {archive} is damaged or not complete ({error}). Download it again.'
        ) from error
    except RuntimeError as error:
        # What zipfile says of a password, and, as NotImplementedError, of an unknown compression.
        raise DataError(
            f'{archive} cannot be unpacked here: {error}. Unpack it yourself.'
        ) from error
    return target


def _extract(archive: Path, folder: Path) -> Iterator[None]:
    """Extract one member after another; checksums are verified on the way."""
    if zipfile.is_zipfile(archive) or archive.suffix == '.zip':
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                file.extract(member, folder)
                yield
    else:
        with tarfile.open(archive) as tar:
            for entry in tar:
                tar.extract(entry, folder, filter='data')
                yield
