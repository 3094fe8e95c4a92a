# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Jobs one after the other, each in a process of its own."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import OutputError
from .jobs import LATEST, OUTCOME, Job, JobStore

_BAR = re.compile(rb'(\d+)/(\d+) \[')
_RATE = re.compile(rb'restored ([0-9.e+-]+) frames/s')
# What is kept of the last words of a process.
_TAIL = 4000
_PATIENCE = 10.0


class Progress:
    """What a worker's output says of its progress."""

    def __init__(self) -> None:
        self._pending = b''
        self._first: tuple[float, int] | None = None
        self._told: float | None = None

    def read(self, text: bytes, now: float) -> dict[str, Any] | None:
        """Parse the next part of the output.

        Args:
            text (bytes): What comes next, cut off anywhere.
            now (float): The time, in seconds.

        Returns:
            dict | None: ``done``, ``total``, ``rate`` (frames a second) and ``left`` (seconds), the
            last two None until they are known; None if there is nothing new.
        """
        self._pending += text
        bars, rates = _BAR.findall(self._pending), _RATE.findall(self._pending)
        self._pending = self._pending[-200:].rpartition(b'[')[2]
        if rates:
            self._told = float(rates[-1])
        if not bars:
            return None
        done, total = map(int, bars[-1])
        if self._first is None or done < self._first[1]:
            self._first = now, done
        rate, (began, before) = self._told, self._first
        if rate is None and done > before:
            rate = (done - before) / (now - began)
        return {
            'done': done,
            'total': total,
            'rate': rate,
            'left': (total - done) / rate if rate else None,
        }


class Runner:
    """Runs what is queued, until it is closed; what it leaves is resumed by the next one.

    Args:
        store (JobStore): The jobs.
    """

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._current: tuple[Job, subprocess.Popen[bytes]] | None = None
        self._stopped: set[str] = set()
        for job in store.all():
            # Its server ended before it did, or just after.
            if job.state == 'running':
                outcome = self._outcome(store.folder(job))
                store.update(job, **(outcome or {'state': 'queued'}))
        self._thread = threading.Thread(target=self._run_all, daemon=True)

    def start(self) -> None:
        """Begin with what is queued."""
        self._thread.start()

    def enqueue(self, job: Job, **changes: Any) -> None:
        """Put a job, with changes to it, at the end of the queue."""
        self._store.update(job, state='queued', queued=time.time(), message='', **changes)
        self._wake.set()

    def stop(self, job: Job) -> None:
        """Stop a job; what is done of it is kept."""
        with self._lock:
            if self._current and self._current[0] is job:
                self._stopped.add(job.id)
                _end(self._current[1])
            elif job.state == 'queued':
                self._store.update(job, state='stopped')

    def close(self) -> None:
        """End what runs, as if the server were killed, and wait for that."""
        with self._lock:
            self._closing = True
            if self._current:
                _end(self._current[1])
        self._wake.set()
        self._thread.join(2 * _PATIENCE)

    def _run_all(self) -> None:
        while not self._closing:
            self._wake.clear()
            job = self._begin_next()
            if job is None:
                self._wake.wait()
            else:
                self._finish(job)

    def _begin_next(self) -> Job | None:
        with self._lock:
            waiting = [job for job in self._store.all() if job.state == 'queued']
            if self._closing or not waiting:
                return None
            job = min(waiting, key=lambda job: job.queued)
            folder = self._store.folder(job)
            (folder / OUTCOME).unlink(missing_ok=True)
            self._note(job, state='running', rate=None, left=None)
            try:
                self._current = job, _worker(folder)
            except OSError as error:
                self._note(job, state='failed', message=f'No process can be started: {error}')
            return job

    def _finish(self, job: Job) -> None:
        if self._current is None:
            return
        process, folder = self._current[1], self._store.folder(job)
        last_words = b''
        for text in self._follow(job, process):
            last_words = (last_words + text)[-_TAIL:]
        status = process.wait()
        with self._lock:
            self._current = None
            stopped = job.id in self._stopped
            self._stopped.discard(job.id)
            if self._closing and not (folder / OUTCOME).is_file():
                return
        outcome = self._outcome(folder)
        if outcome is None:
            outcome = {'state': 'stopped'} if stopped else _early_end(status, last_words)
        self._note(job, left=None, **outcome)

    def _note(self, job: Job, **changes: Any) -> None:
        """Change a job; a full disk is no reason for the queue to end."""
        try:
            self._store.update(job, **changes)
        except OutputError as error:
            warnings.warn(str(error), stacklevel=2)

    def _follow(self, job: Job, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
        """Yield what a process writes, and note the progress that its bar shows."""
        assert process.stderr is not None
        latest, progress = self._store.folder(job) / LATEST, Progress()
        while text := os.read(process.stderr.fileno(), 65536):
            yield text
            if seen := progress.read(text, time.monotonic()):
                picture = latest.stat().st_mtime_ns if latest.is_file() else 0
                self._note(job, latest=picture, **seen)

    def _outcome(self, folder: Path) -> dict[str, Any] | None:
        """Return what came of a job, as its worker says; None if it did not come to that."""
        try:
            outcome = json.loads((folder / OUTCOME).read_text(encoding='utf-8'))
        except FileNotFoundError:
            return None
        if 'message' in outcome:
            outcome['message'] = self._store.readable(outcome['message'])
        return outcome


def _early_end(status: int, last: bytes) -> dict[str, Any]:
    """Report a worker that ended by itself, with its last words but for the bar."""
    words = re.split(r'[\r\n]+', last.decode(errors='replace').strip())
    told = '\n'.join(word for word in words[-5:] if not _BAR.search(word.encode()))
    cause = 'killed, perhaps for lack of memory' if status < 0 else f'status {status}'
    return {'state': 'failed', 'message': f'The job ended early ({cause}).\n{told}'}


def _worker(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, '-m', f'{__package__}.worker', str(folder)]
    env = {**os.environ, 'S2SVR_MM_REGISTER': '1', 'PYTHONIOENCODING': 'utf-8'}
    # Not of the terminal's group: a Ctrl-C there is for the server, which then ends it.
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a worker by the end of its input; by force where it does not listen."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
