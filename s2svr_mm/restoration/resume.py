# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What a run has done so far, kept beside its output so that the next run goes on from there."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..utils.files import write_text
from ..utils.locks import HIDDEN, folder_lock


def check_output(path: Path, sources: Sequence[str], overwrite: bool) -> None:
    """Refuse, before any work, an output that could not be written in the end.

    Args:
        path (Path): A file or a folder to be.
        sources (Sequence[str]): All files and folders that are read.
        overwrite (bool): Whether an older output may be replaced.

    Raises:
        OutputError: With the reason.
    """
    if path.exists():
        for source in sources:
            if os.path.samefile(path, source):
                raise OutputError(f'{path} is the input: choose another name for the output')
        if not overwrite:
            raise OutputError(f'{path} exists already: choose another name, or --overwrite it')
    folder = path.absolute().parent
    if not folder.is_dir():
        raise OutputError(f'there is no folder {folder} to write {path.name} to')
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f'no permission to write to {folder}')


class ResumeFolder:
    """The folder ``<output>.parts``, locked for this process.

    Args:
        output (Path): The output that the parts will become.

    Raises:
        OutputError: Another process is at it.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(f'{output.name}.parts')
        self.folder.mkdir(exist_ok=True)
        self._lock = ExitStack()
        self._lock.enter_context(folder_lock(self.folder, output))

    def resume(self, arguments: Mapping[str, Any], overwrite: bool) -> dict[str, Any] | None:
        """Look for what an earlier run with the same arguments has decided.

        Args:
            arguments (Mapping): All that the result depends on, as plain data.
            overwrite (bool): Whether parts of a run with other arguments may be thrown away.

        Returns:
            dict | None: What the earlier run gave to :meth:`begin`; None if there was none.

        Raises:
            OutputError: The parts are those of other arguments.
        """
        path = self.folder / 'manifest.json'
        if not path.is_file():
            self.clear()
            return None
        manifest = json.loads(path.read_text())
        before = manifest['arguments']
        if before == arguments:
            return manifest['decided']
        if overwrite:
            self.clear()
            return None
        changed = sorted(
            key for key in {*before, *arguments} if before.get(key) != arguments.get(key)
        )
        raise OutputError(
            f'{self.folder} holds what an interrupted run with another {", ".join(changed)} has '
            'done: call it again as it was to go on, or --overwrite to start anew'
        )

    def begin(self, arguments: Mapping[str, Any], decided: Mapping[str, Any]) -> None:
        """Write down what this run is about."""
        manifest = {'arguments': dict(arguments), 'decided': dict(decided)}
        write_text(self.folder / 'manifest.json', json.dumps(manifest, indent=1))

    @property
    def end(self) -> dict[str, Any] | None:
        """What :meth:`set_end` was given; None while there are frames left to restore."""
        path = self.folder / 'end.json'
        return json.loads(path.read_text()) if path.is_file() else None

    def set_end(self, **facts: Any) -> None:
        """Write down that all frames are restored, with what was learnt at the end."""
        write_text(self.folder / 'end.json', json.dumps(facts))

    def clear(self) -> None:
        """Throw away all parts."""
        for entry in self.folder.iterdir():
            if entry.name == HIDDEN:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def close(self) -> None:
        """Unlock; a folder in which nothing was begun goes."""
        if self.folder.is_dir() and not (self.folder / 'manifest.json').is_file():
            shutil.rmtree(self.folder)
        self._lock.close()

    def remove(self) -> None:
        """Remove the folder, once its contents have become the output."""
        (self.folder / 'manifest.json').unlink(missing_ok=True)
        shutil.rmtree(self.folder)
