# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""What a run has done so far, kept beside its output so that the next run resumes there."""

import json
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..io.damage import Damage
from ..utils.files import write_text
from ..utils.locks import HIDDEN, folder_lock
from .planning import Decision

_MADE_BY = 's2svr_mm'
# All that a run leaves in the folder; anything else in it is somebody else's.
_OURS = (
    'manifest.json',
    'end.json',
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

    def to_json(self) -> dict[str, Any]:
        """Return plain data, keyword arguments of this class."""
        return asdict(self)


class ResumeFolder:
    """The folder ``<output>.parts``, locked for this process; a context manager.

    Args:
        output (Path): The output that the parts will become.

    Raises:
        OutputError: Another process is at it, or the folder is not ours.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(f'{output.name}.parts')
        self._check_ours()
        self.folder.mkdir(exist_ok=True)
        self._lock = ExitStack()
        self._lock.enter_context(folder_lock(self.folder, output))

    def _check_ours(self) -> None:
        is_folder = self.folder.is_dir() and not self.folder.is_symlink()
        if self.folder.exists() or self.folder.is_symlink():
            names = {path.name for path in self.folder.iterdir()} if is_folder else {'.'}
            if names - {HIDDEN} and not self._manifest():
                raise OutputError(
                    f'{self.folder} is needed for what is half done, but something that was not '
                    'made here has that name. It was not touched: move it away, or choose another '
                    'output'
                )

    def _manifest(self) -> dict[str, Any]:
        """Return what :meth:`begin` wrote; empty if there is nothing of ours."""
        try:
            content = json.loads((self.folder / 'manifest.json').read_text(encoding='utf-8'))
            return content if content['made_by'] == _MADE_BY else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

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
            'done: call it again as it was to resume, or --overwrite to start anew'
        )

    def begin(self, arguments: Mapping[str, Any], beginning: Beginning) -> None:
        """Write down what this run is about."""
        manifest = {
            'made_by': _MADE_BY,
            'arguments': dict(arguments),
            'beginning': beginning.to_json(),
        }
        write_text(self.folder / 'manifest.json', json.dumps(manifest, indent=1))

    def note_input(
        self, segment: int, content: str, damage: Damage, cuts: tuple[int, ...] = ()
    ) -> None:
        """Write down what a segment is made of.

        Args:
            segment (int): Its number.
            content (str): Fingerprint of the input's content.
            damage (Damage): What was wrong with the pictures so far.
            cuts (tuple[int, ...]): Numbers of its frames that a scene begins with. Defaults to
                none.
        """
        noted = {'content': content, 'damage': asdict(damage), 'cuts': cuts}
        write_text(self._input(segment), json.dumps(noted))

    def input_of(self, segment: int) -> tuple[str, Damage]:
        """Return what :meth:`note_input` was given; ``''`` if nothing."""
        path = self._input(segment)
        if not path.is_file():
            return '', Damage()
        noted = json.loads(path.read_text(encoding='utf-8'))
        return noted['content'], Damage.from_json(noted['damage'])

    def cuts_of(self, segment: int) -> list[int]:
        """Numbers of a segment's frames that a scene begins with."""
        return json.loads(self._input(segment).read_text(encoding='utf-8'))['cuts']

    def noted_inputs(self) -> list[int]:
        """Numbers of all segments that :meth:`note_input` was called for."""
        return sorted(int(path.stem) for path in self.folder.glob('[0-9]*.input'))

    def forget(self, segment: int) -> None:
        """Throw away what is known of a segment's input, and the end with it."""
        self._input(segment).unlink(missing_ok=True)
        (self.folder / 'end.json').unlink(missing_ok=True)

    def _input(self, segment: int) -> Path:
        return self.folder / f'{segment:06d}.input'

    @property
    def ending(self) -> Ending | None:
        """What :meth:`end` was given; None while there are frames left to restore."""
        path = self.folder / 'end.json'
        return Ending(**json.loads(path.read_text())) if path.is_file() else None

    def end(self, ending: Ending) -> None:
        """Write down that all frames are restored, with what was learnt at the end."""
        write_text(self.folder / 'end.json', json.dumps(ending.to_json()))

    def clear(self) -> None:
        """Throw away all parts, and nothing else."""
        inside = self.folder.resolve()
        for pattern in _OURS:
            for path in self.folder.glob(pattern):
                if path.parent.resolve().is_relative_to(inside):
                    path.unlink()
        for pattern in _FOLDERS:
            for folder in self.folder.glob(pattern):
                with suppress(OSError):
                    folder.rmdir()

    def __enter__(self) -> 'ResumeFolder':
        return self

    def __exit__(self, *_: object) -> None:
        if not self._manifest():
            self.clear()
        self._lock.close()
        # It stays if it holds what was done, or what somebody has put there.
        with suppress(OSError):
            self.folder.rmdir()
