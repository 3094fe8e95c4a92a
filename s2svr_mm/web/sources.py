# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Videos on this machine: which may be picked, and what they are."""

import os
import re
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..io.clips import natural_key, open_reader
from ..io.media import open_video, video_stream
from ..io.paths import VIDEO_SUFFIXES, suffix_of
from ..io.video import VideoReader

_LONGEST_STEM = 40
# Of animated images, which are videos too.
_PICKED = VIDEO_SUFFIXES | {'.gif', '.webp', '.apng'}


def safe_name(name: str) -> str:
    """Return a file name without folders and odd characters, short enough for what is added."""
    stem, suffix = os.path.splitext(name.replace('\\', '/').rpartition('/')[2])
    stem, suffix = (re.sub(r'[^\w .()+-]', '_', part) for part in (stem, suffix))
    return (stem.strip(' .')[:_LONGEST_STEM] or 'video') + suffix[:10]


def inside(root: Path, path: str) -> Path:
    """Find a file or folder in a folder.

    Args:
        root (Path): The folder.
        path (str): Relative to it.

    Raises:
        DataError: It is not there, or elsewhere: links are followed.
    """
    place = root.resolve()
    try:
        found = (place / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise DataError(f'there is no {path!r} in the folder that videos are picked from') from None
    if not found.is_relative_to(place):
        raise DataError(f'{path!r} is not in the folder that videos are picked from')
    return found


def list_folder(root: Path, path: str) -> dict[str, Any]:
    """List the folders and videos of a folder, by their names' endings.

    Args:
        root (Path): The folder that nothing outside of is shown.
        path (str): A folder in it, relative to it.

    Returns:
        dict: The ``folder`` as in ``path``, its ``folders`` and its ``files`` with their ``size``.

    Raises:
        DataError: There is no such folder.
    """
    folder = inside(root, path)
    if not folder.is_dir():
        raise DataError(f'{path!r} is not a folder')
    folders, files = [], []
    try:
        for entry in sorted(os.scandir(folder), key=lambda entry: natural_key(entry.name)):
            # What a link leads to may be elsewhere.
            if entry.name.startswith('.') or entry.is_symlink():
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif entry.is_file() and suffix_of(entry.name) in _PICKED:
                files.append({'name': entry.name, 'size': entry.stat().st_size})
    except OSError as error:
        raise DataError(f'the folder {path!r} cannot be read: {error.strerror}') from error
    relative = folder.relative_to(root.resolve()).as_posix()
    return {'folder': '' if relative == '.' else relative, 'folders': folders, 'files': files}


def describe(path: Path) -> dict[str, Any]:
    """Return what there is to know of a video before it is restored.

    Args:
        path (Path): The file.

    Returns:
        dict: ``width``, ``height``, ``frames``, ``seconds``, ``rate`` (frames per second),
        ``codec``, ``bytes`` and ``notes``.

    Raises:
        DataError: It is no video, or broken.
    """
    reader = open_reader(str(path))
    info, times = reader.info, reader.times
    rate = float(info.rate)
    length = (max(times) - min(times)) * float(info.time_base) + (1 / rate if rate else 0)
    damage = [str(reader.damage)] if reader.damage else []
    return {
        'width': info.width,
        'height': info.height,
        'frames': reader.num_frames,
        'seconds': round(length, 3),
        'rate': round(rate, 3),
        'codec': _codec(path) if isinstance(reader, VideoReader) else suffix_of(path.name)[1:],
        'bytes': path.stat().st_size,
        'notes': [*reader.notes, *damage],
    }


def _codec(path: Path) -> str:
    with open_video(str(path)) as container:
        context = video_stream(container, str(path)).codec_context
        return f'{context.name}, {context.pix_fmt}'
