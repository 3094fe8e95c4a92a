# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Jobs, each a folder with all that belongs to it, which outlive the server."""

import json
import re
import secrets
import shlex
import shutil
import threading
import time
import warnings
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DataError
from ..utils.files import write_text
from .offers import RestoreSettings
from .sources import describe, safe_name

STATES = ('new', 'queued', 'running', 'stopped', 'failed', 'done')
_RECORD = 'job.json'
# What a worker leaves in a job's folder.
OUTCOME, SUMMARY, LATEST, REPORT = 'outcome.json', 'summary.json', 'latest.jpg', 'report'
_ID = re.compile('[0-9a-f]{12}')
# What only a running job has of interest is not written down at each frame.
_PROGRESS = frozenset(['done', 'total', 'rate', 'left', 'latest'])


@dataclass
class Job:
    """A video to restore, or the report on one.

    Attributes:
        id (str): Name of its folder.
        kind (str): 'restore', or 'report'.
        name (str): The video's file name.
        source (str): Where the video is.
        info (dict): What :func:`.sources.describe` says of it.
        created (float): When it was made, seconds since the epoch.
        state (str): One of ``STATES``.
        queued (float): When it was started, likewise.
        settings (dict): Of a :class:`.offers.RestoreSettings`; empty if it is new.
        result (str): File name of the result; empty if it is new, or a report.
        command (str): The command that does the same, likewise.
        truth (str): Where the ground truth is, for a report.
        truth_frames (int, optional): How many frames the report is about.
        of (str): The job that a report is about.
        message (str): Why it failed.
        summary (dict): What was done, see :mod:`.worker`.
        done (int): Frames done.
        total (int): Frames to do.
        rate (float, optional): Frames per second.
        left (float, optional): Seconds left.
        latest (int): Number of the latest frame's picture.
    """

    id: str
    kind: str
    name: str
    source: str
    info: dict[str, Any]
    created: float
    state: str = 'new'
    queued: float = 0
    settings: dict[str, Any] = field(default_factory=dict)
    result: str = ''
    command: str = ''
    truth: str = ''
    truth_frames: int | None = None
    of: str = ''
    message: str = ''
    summary: dict[str, Any] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    rate: float | None = None
    left: float | None = None
    latest: int = 0

    @property
    def restore_settings(self) -> RestoreSettings:
        """The settings, checked."""
        return RestoreSettings.from_json(self.settings)

    def start_with(self, settings: RestoreSettings) -> dict[str, Any]:
        """Return what changes when the job is started with some settings."""
        result = f'{Path(self.name).stem}_{settings.model}{settings.suffix}'
        command = shlex.join(settings.command(self.name, result))
        return {'settings': settings.to_json(), 'result': result, 'command': command}

    def to_page(self) -> dict[str, Any]:
        """Return what a page shows; where files lie on this machine is not part of it."""
        shown = asdict(self)
        del shown['source'], shown['truth']
        return shown


class JobStore:
    """All jobs of a folder.

    Args:
        folder (Path): Where they lie, in ``jobs``, and what was uploaded, in ``uploads``.

    Attributes:
        version (int): Grows with each change.
    """

    def __init__(self, folder: Path) -> None:
        self._jobs_folder, self._uploads = folder / 'jobs', folder / 'uploads'
        self._lock = threading.RLock()
        self.version = 0
        for made in (self._jobs_folder, self._uploads):
            made.mkdir(exist_ok=True)
        self._jobs: dict[str, Job] = {}
        for record in sorted(self._jobs_folder.glob(f'*/{_RECORD}')):
            try:
                self._jobs[record.parent.name] = read_job(record.parent)
            except DataError as error:
                warnings.warn(f'{error}. It is left alone', stacklevel=2)
        # Of jobs that are no more, or not uploaded to the end.
        for upload in self._uploads.iterdir():
            self._discard_unused(upload)

    def all(self) -> list[Job]:
        """Return all jobs, the newest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: -job.created)

    def get(self, name: str) -> Job:
        """Return a job.

        Raises:
            KeyError: There is none of that name.
        """
        with self._lock:
            return self._jobs[name]

    def folder(self, job: Job) -> Path:
        """Return a job's folder."""
        return self._jobs_folder / job.id

    def add(self, source: Path, **given: Any) -> Job:
        """Make a job of a video.

        Args:
            source (Path): The video.
            **given: Other attributes of the job.

        Raises:
            DataError: It is no video, or broken.
        """
        job = Job(
            secrets.token_hex(6),
            **{'kind': 'restore', 'name': safe_name(source.name), **given},
            source=str(source),
            info=describe(source),
            created=time.time(),
        )
        self.folder(job).mkdir()
        with self._lock:
            self._jobs[job.id] = job
        self.update(job)
        return job

    def update(self, job: Job, **changes: Any) -> None:
        """Change a job, and write down what outlives the server."""
        with self._lock:
            for name, value in changes.items():
                setattr(job, name, value)
            self.version += 1
            # A job that was removed meanwhile stays so.
            if job.id in self._jobs and not (changes and changes.keys() <= _PROGRESS):
                write_text(self.folder(job) / _RECORD, json.dumps(asdict(job), indent=1))

    def remove(self, job: Job) -> None:
        """Remove a job with its folder, and what was uploaded for it alone.

        Raises:
            ConfigError: It is queued or running.
        """
        with self._lock:
            if job.state in ('queued', 'running'):
                raise ConfigError(f'{job.name} is being restored: stop it first')
            del self._jobs[job.id]
            self.version += 1
            shutil.rmtree(self.folder(job))
            for path in (job.source, job.truth):
                self._discard_unused(Path(path).parent)

    def new_upload(self, name: str) -> Path:
        """Make a folder for a file to come.

        Args:
            name (str): The file's name, as its owner says.

        Returns:
            Path: Where to write it.
        """
        path = self._uploads / secrets.token_hex(6) / safe_name(name)
        path.parent.mkdir()
        return path

    def discard_upload(self, path: Path) -> None:
        """Remove what :meth:`new_upload` made."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def _discard_unused(self, folder: Path) -> None:
        """Remove the folder of an upload that no job is about; no other folder."""
        used = {
            Path(path).parent for job in self._jobs.values() for path in (job.source, job.truth)
        }
        if folder.parent == self._uploads and folder not in used and _ID.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)

    def readable(self, message: str) -> str:
        """Return a message with file names instead of places in the store."""
        for folder in (self._uploads, self._jobs_folder):
            message = re.sub(rf'{re.escape(str(folder))}[\\/]{_ID.pattern}[\\/]', '', message)
        return message


def read_job(folder: Path) -> Job:
    """Read what is written down of a job.

    Args:
        folder (Path): Its folder.

    Raises:
        DataError: It can't be read, or is another job's.
    """
    known = {field.name for field in fields(Job)}
    try:
        data = json.loads((folder / _RECORD).read_text(encoding='utf-8'))
        job = Job(**{name: value for name, value in data.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f'{folder / _RECORD} is no record of a job: {error}') from error
    if job.id != folder.name or job.state not in STATES:
        raise DataError(f'{folder / _RECORD} is of job {job.id!r}, in the state {job.state!r}')
    return job
