# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A folder of videos, one after the other, by one process or several."""

import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from torch import nn
from tqdm import tqdm

from ..errors import ConfigError, EncodingError, OutputError, S2SVRError
from ..io.containers import container_of
from ..io.folders import estimated_frames, find_videos
from ..utils.files import make_folder
from ..utils.locks import HIDDEN, SharedFolder, folder_lock
from ..utils.output_state import OutputState
from ..utils.tables import markdown_table
from .checks import Target
from .claims import Worker
from .options import OutputOptions
from .restore_video import Source, restore_source, restorer_of
from .restorer import VideoRestorer
from .resume import has_begun
from .summary import Summary

LOG = 'restored.jsonl'
BEGUN = 'begun'
_MADE_BY = 's2svr_mm'
_HEAD = json.dumps({'made_by': _MADE_BY})[:-1].encode()


@dataclass(frozen=True)
class Video:
    """A video of a folder.

    Attributes:
        name (str): Path below the folder of inputs.
        src (Path): The file.
        output (str): Path below the folder of outputs.
        dst (Path): The file to be.
        frames (int): About how many frames it has.
        before (OutputState): What was at the output's place at the start.
    """

    name: str
    src: Path
    output: str
    dst: Path
    frames: int
    before: OutputState


@dataclass(frozen=True)
class Outcome:
    """What became of a video.

    Attributes:
        source (str): Path below the folder of inputs.
        output (str): Path below the folder of outputs.
        status (str): 'done', 'damaged' (the good part is restored), 'failed' or 'skipped'; 'begun'
            in the log, where nothing was in the output's place before.
        frames (int): Frames of the output; 0 where there is none or an older one.
        seconds (float): How long it took.
        message (str): What went wrong, or why it was skipped.
        call (str): Fingerprint of the settings and of the input.
        made (list[int]): Size and time of change of the output, in bytes and nanoseconds.
    """

    source: str
    output: str
    status: str
    frames: int = 0
    seconds: float = 0.0
    message: str = ''
    call: str = ''
    made: list[int] | None = None


class BatchSummary(list[Outcome]):
    """What became of each video of a folder; as text, a table."""

    @property
    def failed(self) -> list[Outcome]:
        """Those that were not restored."""
        return [outcome for outcome in self if outcome.status == 'failed']

    @property
    def damaged(self) -> list[Outcome]:
        """Those of which only the good part was restored."""
        return [outcome for outcome in self if outcome.status == 'damaged']

    def __str__(self) -> str:
        rows = [
            (o.source, o.output, o.status, str(o.frames or ''), f'{o.seconds:.1f}' * bool(o.frames))
            for o in self
        ]
        messages = [f'{o.status}: {o.source}: {o.message}' for o in self if o.message]
        table = markdown_table(('video', 'output', 'result', 'frames', 'seconds'), rows)
        return '\n'.join([table, *messages])


def restore_videos(
    src: str | Path,
    dst: str | Path,
    model: str | nn.Module | VideoRestorer | None = None,
    *,
    pattern: str | None = None,
    skip_existing: bool = False,
    source: Source | None = None,
    options: OutputOptions | None = None,
    progress: bool = True,
    worker: Worker | None = None,
    **settings: Any,
) -> BatchSummary:
    """Restore all videos of a folder and of those in it; one that fails does not stop the others.

    Each keeps its path and its name; '.mkv' is added where its format cannot be written. What
    becomes of each is written to ``restored.jsonl`` in the output folder. A call that was
    stopped resumes when it is made again.

    Args:
        src (str | Path): The folder.
        dst (str | Path): The folder for the outputs, made if need be.
        model (str | nn.Module | VideoRestorer): See :func:`.restore_video.restore_video`.
        pattern (str, optional): What names, or paths below ``src``, have to match, such as
            ``'*.mp4'``. Defaults to None: all with an ending of videos.
        skip_existing (bool): Whether to leave out videos whose output exists. Defaults to False:
            those count as failed, unless this call or the like of it made them.
        source (Source, optional): How to read them. Defaults to None, as they are.
        options (OutputOptions, optional): How to write them. Defaults to None, as they are.
        progress (bool): Whether to show one progress bar for all. Defaults to True.
        worker (Worker, optional): This process among those that share the videos. Defaults to
            None: it works alone.
        **settings: Arguments of :class:`VideoRestorer`, unless ``model`` is one.

    Returns:
        BatchSummary: What became of each.

    Raises:
        DataError: There are no videos.
        ConfigError: An argument is not valid.
        OutputError: The folder can't be written to, or another process is writing to it.
    """
    root = Path(dst)
    videos = plan_batch(Path(src), root, pattern)
    return restore_batch(
        videos,
        root,
        restorer_of(model, settings),
        source or Source(''),
        options or OutputOptions(),
        skip_existing,
        progress,
        worker,
    )


def restore_batch(
    videos: Sequence[Video],
    root: Path,
    restorer: VideoRestorer,
    source: Source,
    options: OutputOptions,
    skip_existing: bool = False,
    progress: bool = True,
    worker: Worker | None = None,
) -> BatchSummary:
    """Restore the videos that :func:`plan_batch` has found, as :func:`restore_videos` does.

    Args:
        videos (Sequence[Video]): The videos.
        root (Path): The folder for the outputs, made if need be.
        restorer (VideoRestorer): The network with its settings.
        source (Source): How to read them.
        options (OutputOptions): How to write them.
        skip_existing (bool): See :func:`restore_videos`. Defaults to False.
        progress (bool): Whether to show one progress bar for all. Defaults to True.
        worker (Worker, optional): See :func:`restore_videos`. Defaults to None.

    Returns:
        BatchSummary: What became of each.
    """
    if options.compare is not None:
        raise ConfigError('--compare is for one video, not for a folder of them')
    make_folder(root, 'the output folder')
    with ExitStack() as stack:
        shared = None
        if worker is None:
            stack.enter_context(folder_lock(root))
        else:
            shared = SharedFolder(root, root)
            stack.callback(shared.close, lambda: True)
        total = sum(video.frames for video in videos)
        bar = stack.enter_context(tqdm(total=total, unit='frame', disable=not progress))
        batch = _Batch(videos, _Log(root), restorer, source, options, skip_existing, bar)
        batch.run(shared)
    return BatchSummary(batch.outcomes[video.name] for video in videos)


def plan_batch(src: Path, dst: Path, pattern: str | None = None) -> list[Video]:
    """Find the videos of a folder and name their outputs.

    Args:
        src (Path): The folder.
        dst (Path): The folder for the outputs; nothing in it is an input.
        pattern (str, optional): See :func:`restore_videos`. Defaults to None.

    Returns:
        list[Video]: In natural order.

    Raises:
        ConfigError: The folders are the same, or the output is not a folder.
        OutputError: Two outputs would have the same name.
    """
    if (dst.exists() or dst.is_symlink()) and not dst.is_dir():
        raise ConfigError(f'{src} is a folder of videos: give a folder for the output, not {dst}')
    if dst.exists() and os.path.samefile(src, dst):
        raise ConfigError(f'{dst} holds the videos: give another folder for the output')
    videos: dict[str, Video] = {}
    for name in find_videos(str(src), pattern, str(dst)):
        output = _output_name(name)
        # Some file systems ignore the case of names.
        other = videos.get(output.casefold())
        if other is not None:
            raise OutputError(
                f'{name} and {other.name} would both be restored to {output}: rename one of them'
            )
        video = Video(name, src / name, output, dst / output, 0, OutputState.of(dst / output))
        videos[output.casefold()] = replace(video, frames=estimated_frames(str(video.src)))
    return list(videos.values())


def _output_name(name: str) -> str:
    try:
        container_of(Path(name).suffix)
    except EncodingError:
        return f'{name}.mkv'
    return name


class _Log:
    """One line of JSON for each video, in the output folder.

    Args:
        root (Path): The output folder.

    Attributes:
        earlier (dict[str, Outcome]): What became of videos in earlier calls, by source.

    Raises:
        OutputError: Another file has its name.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / LOG
        (root / HIDDEN).mkdir(exist_ok=True)
        self._lock = FileLock(root / HIDDEN / 'log.lock')
        self._read = 0
        self.earlier = self._new()
        if self._path.is_file() and not self._is_ours():
            raise OutputError(
                f'{self._path} was not written by s2svr_mm, whose log goes there: move it away'
            )
        self._since: dict[str, Outcome] = {}

    def _is_ours(self) -> bool:
        """Whether the file is empty or begins as our lines do, which may have been cut off."""
        with open(self._path, 'rb') as file:
            head = file.read(len(_HEAD))
        return _HEAD.startswith(head)

    def of_this_call(self) -> dict[str, Outcome]:
        """Return what became of videos since this process was started, by source."""
        new = self._new()
        self._since |= {name: outcome for name, outcome in new.items() if outcome.status != BEGUN}
        return self._since

    def add(self, outcome: Outcome) -> None:
        """Add a line."""
        line = json.dumps({'made_by': _MADE_BY, **asdict(outcome)}, ensure_ascii=False)
        with self._lock, open(self._path, 'ab') as file:
            # A process that was killed may have left half of one.
            file.write(('\n' * self._is_torn() + line + '\n').encode())
            file.flush()
            os.fsync(file.fileno())

    def _is_torn(self) -> bool:
        with open(self._path, 'rb') as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read() != b'\n'

    def _new(self) -> dict[str, Outcome]:
        """Return what is in the lines that were not read yet, the latest by source."""
        if not self._path.is_file():
            return {}
        with open(self._path, 'rb') as file:
            file.seek(self._read)
            # The last one may not be whole yet.
            content = file.read()
        lines = content[: content.rfind(b'\n') + 1]
        self._read += len(lines)
        outcomes = filter(None, map(_parsed, lines.splitlines()))
        return {outcome.source: outcome for outcome in outcomes}


def _parsed(line: bytes) -> Outcome | None:
    try:
        fields = json.loads(line)
        return Outcome(**fields) if fields.pop('made_by') == _MADE_BY else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


@dataclass
class _Batch:
    """The videos of a call, and what has become of them."""

    videos: Sequence[Video]
    log: _Log
    restorer: VideoRestorer
    source: Source
    options: OutputOptions
    skip_existing: bool
    bar: tqdm

    def __post_init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self._earlier = self.log.earlier
        self._settings = json.dumps(
            [
                self.restorer.fingerprint(),
                asdict(replace(self.options, overwrite=False)),
                asdict(replace(self.source, src='')),
            ],
            default=str,
            sort_keys=True,
        )

    def run(self, shared: SharedFolder | None) -> None:
        """Restore the videos: first those that nobody has, then help with the others."""
        for helping in (False, True):
            for number, video in enumerate(self.videos):
                if self._is_settled(video):
                    continue
                if shared is None:
                    self._restore(video, None)
                    continue
                lock = shared.claim(f'video-{number:06d}')
                if lock is not None:
                    with lock:
                        # Others may have settled it since this process looked.
                        if not self._is_settled(video):
                            self._restore(video, Worker())
                elif helping:
                    self._restore(video, Worker(1, 2))

    def _is_settled(self, video: Video) -> bool:
        """Whether nothing is left to do for a video, by this process or another."""
        if video.name in self.outcomes:
            return True
        outcome = self.log.of_this_call().get(video.name) or self._without_work(video)
        if outcome is not None:
            self._settle(video, outcome)
        return outcome is not None

    def _without_work(self, video: Video) -> Outcome | None:
        earlier, made = self._earlier.get(video.name), _made(video.dst)
        if earlier is not None and made and earlier.call == self._call(video):
            # A process that began it may have died before it wrote down that all is done.
            unnoted = earlier.status == BEGUN and not has_begun(video.dst)
            if unnoted or earlier.made == made:
                status = 'done' if unnoted else earlier.status
                message = 'restored by an earlier call'
                return replace(earlier, status=status, seconds=0.0, message=message)
        if self.skip_existing and video.before.identity is not None:
            return Outcome(video.name, video.output, 'skipped', message='the output exists')
        return None

    def _call(self, video: Video) -> str:
        status = os.stat(video.src)
        content = f'{self._settings} {status.st_size} {status.st_mtime_ns}'
        return hashlib.sha256(content.encode()).hexdigest()

    def _restore(self, video: Video, worker: Worker | None) -> None:
        began, shown = time.monotonic(), self.bar.n
        outcome = Outcome(video.name, video.output, 'failed')
        try:
            call = self._call(video)
            video.dst.parent.mkdir(parents=True, exist_ok=True)
            if video.before.identity is None:
                self.log.add(Outcome(video.name, video.output, BEGUN, call=call))
            summary = restore_source(
                replace(self.source, src=str(video.src)),
                Target(video.dst, is_folder=False),
                self.restorer,
                self.options,
                self.bar,
                worker,
                video.before,
            )
            if summary is None:
                # Whoever has made the output writes it down.
                outcome = self._awaited(video)
            else:
                outcome = _outcome(video, summary, call, time.monotonic() - began)
                self.log.add(outcome)
        except Exception as error:
            if not isinstance(error, S2SVRError):
                # A bug, or memory that a device lacks; the other videos may do without.
                traceback.print_exc()
            outcome = replace(outcome, message=str(error), seconds=time.monotonic() - began)
            self.log.add(outcome)
            tqdm.write(f'failed: {video.src}: {error}', file=sys.stderr)
        self.bar.n = shown
        self._settle(video, outcome)

    def _awaited(self, video: Video) -> Outcome:
        for _ in range(20):
            outcome = self.log.of_this_call().get(video.name)
            if outcome is not None:
                return outcome
            time.sleep(0.1)
        return Outcome(video.name, video.output, 'done', message='restored by another process')

    def _settle(self, video: Video, outcome: Outcome) -> None:
        self.outcomes[video.name] = outcome
        # How many frames there are is known now.
        self.bar.total += outcome.frames - video.frames
        self.bar.update(outcome.frames)
        self.bar.refresh()


def _outcome(video: Video, summary: Summary, call: str, seconds: float) -> Outcome:
    return Outcome(
        source=video.name,
        output=video.output,
        status='damaged' if summary.damage else 'done',
        frames=summary.frames,
        seconds=round(seconds, 1),
        message=summary.damage or '',
        call=call,
        made=_made(video.dst),
    )


def _made(path: Path) -> list[int] | None:
    """Size and time of change of an output."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
