# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Which files this package made, so that nothing else is ever replaced or removed.

A manifest lists the files of a folder with their SHA-256. Manifests of all folders below an
output's root lie in a hidden folder of the root. A PNG needs none, for it carries its own SHA-256.
What is neither listed nor marked, or was changed since, belongs to somebody else.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from ..errors import OutputError
from .files import write_bytes, write_text
from .locks import HIDDEN

_MADE_BY = 's2svr_mm'
# Length of the chunk that ends a PNG.
_IEND = 12
_SHOWN = 3


def sha256(content: bytes) -> str:
    """Compute the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def marked_png(content: bytes) -> bytes:
    """Add to a PNG that this package made it, with the SHA-256 of all the rest of it.

    Args:
        content (bytes): A whole PNG.

    Returns:
        bytes: The PNG with a textual chunk (tEXt) before its end.
    """
    return content[:-_IEND] + _mark(content) + content[-_IEND:]


def _mark(content: bytes) -> bytes:
    data = b'tEXt' + f'{_MADE_BY}\0{sha256(content)}'.encode()
    return struct.pack('>I', len(data) - 4) + data + struct.pack('>I', zlib.crc32(data))


def _is_marked(content: bytes) -> bool:
    end = len(content) - _IEND
    start = end - len(_mark(b''))
    return content[start:end] == _mark(content[:start] + content[end:])


def manifest_path(folder: Path, root: Path | None = None) -> Path:
    """Where the manifest of a folder lies.

    Args:
        folder (Path): The folder.
        root (Path, optional): A folder that holds it. Defaults to None, ``folder`` itself.
    """
    inside = '' if root is None else folder.relative_to(root).as_posix()
    return (root or folder) / HIDDEN / f'{quote(inside, safe="") or "here"}.json'


def read_manifest(folder: Path, root: Path | None = None) -> dict[str, str]:
    """Read which files of a folder were made by this package.

    Args:
        folder (Path): The folder, which may be missing.
        root (Path, optional): See :func:`manifest_path`.

    Returns:
        dict[str, str]: SHA-256 by file name; empty if there is no manifest.

    Raises:
        OutputError: A file lies in its place, but it is no manifest.
    """
    path = manifest_path(folder, root)
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        if content['made_by'] != _MADE_BY:
            raise ValueError(content['made_by'])
        return dict(content['files'])
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f'{path} is damaged or was not written by s2svr_mm: move it away'
        ) from error


def note_made(folder: Path, digests: Mapping[str, str], root: Path | None = None) -> None:
    """Add files to the manifest of a folder.

    Args:
        folder (Path): The folder.
        digests (Mapping[str, str]): SHA-256 by file name.
        root (Path, optional): See :func:`manifest_path`.
    """
    files = {**read_manifest(folder, root), **digests}
    content = {'made_by': _MADE_BY, 'files': dict(sorted(files.items()))}
    write_text(manifest_path(folder, root), json.dumps(content, indent=1))


def not_made(folder: Path, names: Iterable[str], root: Path | None = None) -> list[str]:
    """List those of some names in a folder that exist and were not made by this package.

    Args:
        folder (Path): The folder, which may be missing.
        names (Iterable[str]): Names in it.
        root (Path, optional): See :func:`manifest_path`.

    Returns:
        list[str]: Files that are not known or were changed since, folders and links.
    """
    made = read_manifest(folder, root)

    def is_foreign(path: Path) -> bool:
        if not os.path.lexists(path):
            return False
        if path.is_symlink() or not path.is_file():
            return True
        content = path.read_bytes()
        return made.get(path.name) != sha256(content) and not _is_marked(content)

    return [name for name in names if is_foreign(folder / name)]


def check_made(folder: Path, names: Iterable[str], root: Path | None = None) -> None:
    """Refuse to replace what this package did not make.

    Args:
        folder (Path): The folder, which may be missing.
        names (Iterable[str]): Names of the files to be written to it.
        root (Path, optional): See :func:`manifest_path`.

    Raises:
        OutputError: One of them exists and is somebody else's.
    """
    if foreign := not_made(folder, names, root):
        shown = ', '.join(foreign[:_SHOWN]) + ', ...' * (len(foreign) > _SHOWN)
        raise OutputError(
            f'{folder} holds {shown}, which this program did not make, or which changed since. '
            'Nothing was touched: move that away, or choose another place'
        )


def write_made(folder: Path, contents: Mapping[str, bytes], root: Path | None = None) -> None:
    """Write files and note them in the manifest, unless that would replace foreign files.

    Args:
        folder (Path): The folder, made if need be.
        contents (Mapping[str, bytes]): Content by file name.
        root (Path, optional): See :func:`manifest_path`.

    Raises:
        OutputError: One of the files exists, and is not one that this package made.
    """
    check_made(folder, contents, root)
    # Noted first, or another process that writes the same would take it for somebody else's.
    note_made(folder, {name: sha256(content) for name, content in contents.items()}, root)
    for name, content in contents.items():
        write_bytes(folder / name, content)


def note_source(folder: Path, root: Path, content: str) -> None:
    """Note what a folder in ``root`` was made of, a fingerprint."""
    write_text(_source_path(folder, root), content)


def source_of(folder: Path, root: Path) -> str | None:
    """Return what :func:`note_source` was given; None if nothing."""
    path = _source_path(folder, root)
    return path.read_text(encoding='utf-8') if path.is_file() else None


def _source_path(folder: Path, root: Path) -> Path:
    return manifest_path(folder, root).with_suffix('.source')


def remove_made(folder: Path, root: Path) -> None:
    """Remove a folder that holds nothing but what this package made; a missing one is fine.

    Args:
        folder (Path): The folder.
        root (Path): See :func:`manifest_path`.

    Raises:
        OutputError: It is a link or a file, or there is anything else in it. It is then untouched.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        check_made(folder.parent, [folder.name], root)
    names = [path.name for path in folder.iterdir()]
    check_made(folder, names, root)
    for name in names:
        (folder / name).unlink()
    folder.rmdir()
    for note in (manifest_path(folder, root), _source_path(folder, root)):
        note.unlink(missing_ok=True)
