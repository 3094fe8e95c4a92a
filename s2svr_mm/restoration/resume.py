# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What a run has done so far, kept beside its output so that the next run resumes there."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..errors import OutputError
from ..io.damage import Damage
from ..utils.files import PART, write_text
from ..utils.locks import HIDDEN, SharedFolder, folder_lock
from .planning import Decision

_MADE_BY = 's2svr_mm'
_MANIFEST, _DONE = 'manifest.json', 'done.json'
# All that a run leaves in the folder beside its manifest; anything else in it is somebody else's.
_OURS = (
    '*.input',
    '*.part',
    '*/*.packets',
    '*/*.whole',
    '*/whole.*',
    '*/*.part',
    '*/frames/*.png',
    '*/frames/*.part',
)
_FOLDERS = '*/frames', 'output', 'compare'


@dataclass(frozen=True)
class Beginning:
    """What was settled before the first frame, and must not change when resuming.

    Attributes:
        decision (Decision): How frames are restored.
        size (tuple[int, int]): Height and width of the frames.
    """

    decision: Decision
    size: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """Return plain data that :meth:`from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> 'Beginning':
        """Read what :meth:`to_json` returned."""
        height, width = data['size']
        return cls(Decision.from_json(data['decision']), (height, width))


@dataclass(frozen=True)
class Ending:
    """What was learnt with the last frame.

    Attributes:
        segments (int): Number of segments.
        frames (int): Number of frames.
        end_time (int): When the last one ends, in ticks from the source's first frame.
        damage (str, optional): Which pictures are missing in the input.
        flaws (str, optional): What else is wrong with its pictures.
        next_frame (int, optional): Number of the frame, of another size, at which this output ends
            and the input does not; None if the input ends too.
        resized (int): Number of frames that were scaled to the size of the first one.
        cuts (tuple[int, ...]): Numbers of the frames that a scene begins with, but for the first.
    """

    segments: int
    frames: int
    end_time: int
    damage: str | None = None
    flaws: str | None = None
    next_frame: int | None = None
    resized: int = 0
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True)
class SegmentNote:
    """What is known of a segment that was restored.

    Attributes:
        content (str): Fingerprint of the input's content that it is made of.
        damage (Damage): What was wrong with the pictures, as far as its process had read.
        frames (int): Number of its frames.
        is_last (bool): Whether the output ends with it.
        next_frame (int, optional): See :class:`Ending`.
        resized (int): Number of its frames that were scaled.
        cuts (tuple[int, ...]): Numbers of its frames that a scene begins with.
    """

    content: str
    damage: Damage = field(default_factory=Damage)
    frames: int = 0
    is_last: bool = False
    next_frame: int | None = None
    resized: int = 0
    cuts: tuple[int, ...] = ()


class ResumeFolder:
    """The folder ``<output>.parts``, locked for this process or shared; a context manager.

    Args:
        output (Path): The output that the parts will become.
        shared (bool): Whether other processes may work at the same output, with the same
            arguments. Defaults to False.

    Raises:
        OutputError: Another process is writing to the output, or something that was not made here
            has the folder's name.
    """

    def __init__(self, output: Path, shared: bool = False) -> None:
        self.folder = parts_of(output)
        check_parts(output)
        try:
            self.folder.mkdir(exist_ok=True)
        except PermissionError as error:
            raise OutputError(f'no permission to write to {self.folder.parent}') from error
        self._lock = ExitStack()
        self._shared = SharedFolder(self.folder, output) if shared else None
        if self._shared is None:
            self._lock.enter_context(folder_lock(self.folder, output))

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Keep others that share the folder from beginning; yields whether there are none yet."""
        if self._shared is None:
            yield True
            return
        with self._shared.alone() as alone:
            yield alone

    def claim(self, name: str) -> FileLock | None:
        """Take a part of the work of a folder that is shared; None if another process has it."""
        assert self._shared is not None
        return self._shared.claim(name)

    def is_claimed(self, name: str) -> bool:
        """Whether a process has a part of the work of a folder that is shared."""
        assert self._shared is not None
        return self._shared.is_claimed(name)

    @property
    def is_shared(self) -> bool:
        """Whether other processes may be at work."""
        return self._shared is not None

    @property
    def has_begun(self) -> bool:
        """Whether there is work that is not finished."""
        return bool(self._manifest())

    def _manifest(self, name: str = _MANIFEST) -> dict[str, Any]:
        """Return what :meth:`begin` wrote; empty if there is nothing of ours."""
        return _read_manifest(self.folder / name)

    def resume(self, arguments: Mapping[str, Any], overwrite: bool) -> Beginning | None:
        """Look for what an earlier run with the same arguments has settled.

        Args:
            arguments (Mapping): All that the result depends on but the frames, as plain data.
            overwrite (bool): Whether parts of a run with other arguments may be thrown away.

        Returns:
            Beginning | None: What the earlier run gave to :meth:`begin`; None if there was none.

        Raises:
            OutputError: The parts are those of other arguments.
        """
        manifest = self._manifest()
        if not manifest:
            if self._manifest(_DONE):
                self.clear()
            return None
        before = manifest['arguments']
        if before == arguments:
            return Beginning.from_json(manifest['beginning'])
        if overwrite:
            self.clear()
            return None
        changed = sorted(
            key for key in {*before, *arguments} if before.get(key) != arguments.get(key)
        )
        raise OutputError(
            f'{self.folder} holds what an interrupted run with another {", ".join(changed)} has '
            'done: repeat that call to resume it, or --overwrite to start anew'
        )

    def begin(self, arguments: Mapping[str, Any], beginning: Beginning) -> None:
        """Write down what this run is about."""
        manifest = {
            'made_by': _MADE_BY,
            'arguments': dict(arguments),
            'beginning': beginning.to_json(),
        }
        write_text(self.folder / _MANIFEST, json.dumps(manifest, indent=1))

    def note(self, segment: int, note: SegmentNote) -> None:
        """Write down what a segment is made of."""
        write_text(self._input(segment), json.dumps(asdict(note)))

    def note_of(self, segment: int) -> SegmentNote | None:
        """Return what :meth:`note` was given; None if nothing."""
        try:
            noted = json.loads(self._input(segment).read_text(encoding='utf-8'))
            noted['damage'] = Damage.from_json(noted['damage'])
            return SegmentNote(**{**noted, 'cuts': tuple(noted['cuts'])})
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None

    def noted(self) -> list[int]:
        """Numbers of all segments that :meth:`note` was called for."""
        return sorted(int(path.stem) for path in self.folder.glob('[0-9]*.input'))

    def forget(self, segment: int) -> None:
        """Delete the note on a segment."""
        self._input(segment).unlink(missing_ok=True)

    def _input(self, segment: int) -> Path:
        return self.folder / f'{segment:06d}.input'

    def clear(self) -> None:
        """Delete all parts, and nothing else."""
        inside = self.folder.resolve()
        # What is left if this is stopped is still known as ours, and as of no use.
        with suppress(FileNotFoundError):
            os.replace(self.folder / _MANIFEST, self.folder / _DONE)
        for pattern in _OURS:
            for path in self.folder.glob(pattern):
                if path.parent.resolve().is_relative_to(inside):
                    path.unlink()
        for pattern in _FOLDERS:
            for folder in self.folder.glob(pattern):
                with suppress(OSError):
                    folder.rmdir()
        (self.folder / _DONE).unlink(missing_ok=True)

    def __enter__(self) -> 'ResumeFolder':
        return self

    def __exit__(self, *_: object) -> None:
        if self._shared is not None:
            self._shared.close(self._tidy)
        else:
            self._tidy()
        self._lock.close()
        # It stays if it holds what was done, or what somebody has put there.
        with suppress(OSError):
            self.folder.rmdir()

    def _tidy(self) -> bool:
        """Leave nothing where there is nothing to resume; returns whether that is so."""
        if self._manifest():
            return False
        self.clear()
        return True


def parts_of(output: Path) -> Path:
    """Name the folder that holds what is done of an output."""
    return output.with_name(f'{output.name}.parts')


def has_begun(output: Path) -> bool:
    """Whether there is work for an output that is not finished."""
    return bool(_read_manifest(parts_of(output) / _MANIFEST))


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        return content if content['made_by'] == _MADE_BY else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def check_parts(output: Path) -> None:
    """Refuse an output whose folder of parts is somebody else's.

    Args:
        output (Path): The output.

    Raises:
        OutputError: Something that was not made here has the folder's name.
    """
    folder = parts_of(output)
    # Another process may begin or clear up while this one looks, but not do both.
    if _is_somebody_elses(output, folder) and _is_somebody_elses(output, folder):
        raise OutputError(
            f'{folder} is needed for unfinished work, but something that was not made here has '
            'that name. It was not touched: move it away, or choose another output'
        )


def _is_somebody_elses(output: Path, folder: Path) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return os.path.lexists(folder)
    if not any(map(_is_foreign, folder.glob('*'))):
        return False
    return not (has_begun(output) or _read_manifest(folder / _DONE))


def _is_foreign(path: Path) -> bool:
    """Whether something lies in a folder of parts that no process has made before it begins."""
    if path.name == HIDDEN or path.match(f'{_MANIFEST}.*{PART}'):
        return False
    folders = path.is_dir() and path.name in _FOLDERS
    return not folders or not all(inside.is_dir() for inside in path.rglob('*'))
