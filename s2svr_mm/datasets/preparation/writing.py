# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Writing clips so that whatever has its final name is complete."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ...errors import DataError
from ...io.clips import open_folder, open_reader
from ...io.images import read_image, write_png
from ...utils.files import unfinished
from ...utils.manifest import note_source, remove_made, source_of


def place_clip(
    source: Path, target: Path, root: Path, frame_name: str = '', copy: bool = False
) -> None:
    """Bring a clip of a download under its new name, by links or as a copy.

    A clip that is there already, with as many frames, is left alone.

    Args:
        source (Path): A folder of frames or a file.
        target (Path): Its new place in ``root``.
        root (Path): The folder being prepared.
        frame_name (str): Format for the frames' new names; empty to keep them.
        copy (bool): Copy instead of linking.

    Raises:
        DataError: Something else stands at the target.
    """
    if os.path.lexists(target):
        if not target.exists() or not _same_clip(source, target):
            raise DataError(f'{target} exists, but not as a copy of {source}. Remove it.')
        return
    transfer = shutil.copy if copy else os.symlink
    source = source.resolve()
    with unfinished(target, root) as work:
        if frame_name:
            work.mkdir()
            for number, name in enumerate(open_folder(str(source)).names):
                frame = work / frame_name.format(number)
                if Path(name).suffix.lower() == frame.suffix:
                    transfer(source / name, frame)
                else:
                    write_png(frame, read_image(str(source / name)))
        elif copy and source.is_dir():
            shutil.copytree(source, work)
        else:
            transfer(source, work)


def _same_clip(source: Path, target: Path) -> bool:
    if source.is_file():
        return target.is_file() and source.stat().st_size == target.stat().st_size
    return open_reader(str(source)).num_frames == open_reader(str(target)).num_frames


def write_folders(
    folders: Sequence[Path],
    rows: Iterable[Sequence[np.ndarray]],
    root: Path,
    names: Sequence[str] | None = None,
    source: str | None = None,
) -> None:
    """Write folders of PNGs together, e.g. ground truth and its degraded version.

    Folders that exist already are complete. If only some do, or if they were made of something
    else, all are written again, unless one of them holds anything that was not written here.

    Args:
        folders (Sequence[Path]): Folders in ``root``.
        rows (Iterable[Sequence[np.ndarray]]): For each number, one frame for each folder.
        root (Path): The folder being prepared.
        names (Sequence[str], optional): The files' names without their endings. Default: None
            (eight digits from 00000000).
        source (str, optional): The clip that they are made of. Default: None, which is not looked
            at.

    Raises:
        OutputError: A folder that would be written again holds somebody else's files.
    """
    content = None if source is None else open_reader(source).fingerprint()
    if all(folder.is_dir() for folder in folders):
        noted = source_of(folders[0], root)
        if noted in (None, content) or content is None:
            return
        tqdm.write(f'{source} has changed: {folders[0]} is made again', sys.stderr)
    for folder in folders:
        remove_made(folder, root)
    with ExitStack() as stack:
        works = [stack.enter_context(unfinished(folder, root)) for folder in folders]
        for work in works:
            work.mkdir()
        for number, row in enumerate(rows):
            name = f'{number:08d}' if names is None else names[number]
            for work, frame in zip(works, row, strict=True):
                write_png(work / f'{name}.png', frame)
    if content is not None:
        note_source(folders[0], root, content)


def run_tasks(function: Callable, tasks: Sequence[tuple], workers: int, title: str) -> list:
    """Call a function for each task in several processes, with a progress bar.

    Args:
        function (Callable): A module's function.
        tasks (Sequence[tuple]): Its arguments.
        workers (int): Number of processes; 1 stays in this one.
        title (str): What the progress bar says.

    Returns:
        list: What the calls returned, in order.
    """
    if workers <= 1 or len(tasks) <= 1:
        return [function(*task) for task in tqdm(tasks, desc=title, unit='clips')]
    chunk = max(1, min(32, len(tasks) // (8 * workers)))
    with ProcessPoolExecutor(workers) as pool:
        try:
            results = pool.map(function, *zip(*tasks, strict=True), chunksize=chunk)
            return list(tqdm(results, desc=title, total=len(tasks), unit='clips'))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
