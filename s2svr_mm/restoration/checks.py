# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What is refused before any work: outputs that must not be written, frames that do not exist."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, OutputError
from ..io.paths import IMAGE_SUFFIXES
from ..io.reader import Reader
from .options import OutputOptions
from .sinks import check_frames


@dataclass(frozen=True)
class Target:
    """A video, or a folder of frames, to be written.

    Attributes:
        path (Path): Its name.
        is_folder (bool): Whether frames are written.
    """

    path: Path
    is_folder: bool

    @classmethod
    def of(cls, name: str | Path) -> 'Target':
        """Decide by the name: a folder exists already, ends in a slash or has no suffix.

        Raises:
            OutputError: It is the root folder, beside which unfinished work cannot be kept.
        """
        path = Path(name)
        if path.name in ('', '..'):
            path = path.resolve()
        if not path.name:
            raise OutputError(f'{name} is not a folder for frames: choose one that lies in it')
        ends = str(name).endswith((os.sep, os.altsep or os.sep))
        return cls(path, ends or path.is_dir() or not path.suffix)

    def numbered(self, number: int) -> 'Target':
        """Return the target of output number ``number``, from 1: ``out.mp4``, ``out.2.mp4``."""
        if number == 1:
            return self
        stem, suffix = self.path.stem, self.path.suffix
        name = f'{self.path.name}.{number}' if self.is_folder else f'{stem}.{number}{suffix}'
        return Target(self.path.with_name(name), self.is_folder)


def check_outputs(
    reader: Reader, frames: tuple[int, int | None], target: Target, options: OutputOptions
) -> None:
    """Refuse outputs that could not be written in the end, or would replace something.

    Args:
        reader (Reader): The input.
        frames (tuple[int, int | None]): First frame and the one after the last; None for the end.
        target (Target): The main output.
        options (OutputOptions): How it is written.

    Raises:
        OutputError: With the reason.
    """
    read = [*reader.files(), *([reader.path] if Path(reader.path).exists() else [])]
    _check_target(target, read, options.overwrite)
    if target.is_folder:
        names = list(_frame_files(reader, target.path, frames))
        for name in names:
            _check_not_read(target.path / name, read)
        check_frames(target.path, names, options.overwrite)
    if options.compare is None:
        return
    compare = Target.of(options.compare)
    if compare.is_folder:
        raise OutputError(
            f'{compare.path}: the comparison is a video; give it a name such as cmp.mp4'
        )
    if compare.path.absolute() == target.path.absolute():
        raise OutputError(f'{compare.path} is both the output and the comparison')
    _check_target(compare, read, options.overwrite)


def _check_target(target: Target, read: Sequence[str], overwrite: bool) -> None:
    path = target.path
    if path.suffix.lower() in IMAGE_SUFFIXES and not target.is_folder:
        raise OutputError(f'{path}: frames are written to a folder; give its name')
    if path.exists() and target.is_folder and not path.is_dir():
        raise OutputError(f'{path} is a file already, and frames need a folder')
    check_output(path, read, overwrite)


def check_output(path: Path, sources: Sequence[str], overwrite: bool) -> None:
    """Refuse a file or folder that could not be written in the end.

    Args:
        path (Path): A file or a folder to be; a folder may exist, and is written into.
        sources (Sequence[str]): All files and folders that are read.
        overwrite (bool): Whether an older file may be replaced.

    Raises:
        OutputError: With the reason.
    """
    if path.exists():
        _check_not_read(path, sources)
        if not overwrite and not path.is_dir():
            raise OutputError(f'{path} exists already: choose another name, or --overwrite it')
    folder = path if path.is_dir() else path.absolute().parent
    if not folder.is_dir():
        raise OutputError(f'there is no folder {folder} to write {path.name} to')
    for needed in {folder, path.absolute().parent}:
        if not os.access(needed, os.W_OK | os.X_OK):
            raise OutputError(f'no permission to write to {needed}')


def _check_not_read(path: Path, sources: Sequence[str]) -> None:
    if any(os.path.samefile(path, source) for source in sources):
        raise OutputError(f'{path} is the input: choose another name for the output')


def _frame_files(reader: Reader, folder: Path, frames: tuple[int, int | None]) -> Iterator[str]:
    """Files in a folder that have the names of frames to be restored."""
    start, stop = frames
    files = reader.files()
    stems = {Path(file).stem for file in files[start:stop]}
    are_images = len(files) == reader.num_frames and len({Path(f).stem for f in files}) > 1
    for path in folder.glob('*.png'):
        number = int(path.stem) if path.stem.isdigit() else -1
        numbered = start <= number and (stop is None or number < stop)
        if path.stem in stems if are_images else numbered:
            yield path.name


def checked_range(reader: Reader, frames: tuple[int, int | None]) -> tuple[int, int | None]:
    """Return a range of frames if the clip has any of them.

    Raises:
        DataError: The range is empty, or begins after the last frame.
    """
    start, stop = frames
    if start < 0 or (stop is not None and stop <= start):
        raise DataError(f'--frames {start}:{"" if stop is None else stop} holds no frames')
    if start >= reader.num_frames:
        raise DataError(
            f'{reader.path} has {reader.num_frames} frames, so none from {start} on (they count '
            'from 0)'
        )
    return start, stop
