# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""The routes of the web page and their handlers."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..errors import ConfigError, S2SVRError
from ..utils.files import PART, commit
from .guard import Guard
from .jobs import REPORT, Job, JobStore
from .offers import RestoreSettings, list_tasks
from .previews import FRAMES, Previewer
from .runner import Runner
from .sources import inside, list_folder

PAGE = Path(__file__).with_name('page')
# Of what a page sends as JSON.
_LONGEST_TEXT = 2**16
# What is left free on the disk by uploads.
_SPARE = 2**28
_NEWS_SECONDS, _QUIET_SECONDS = 0.25, 15
# All that is served of a job's folder, and where it lies there.
_SERVED = re.compile(r'(input|result)-[0-9]\.png|latest\.jpg|play-(input|result)\.(mp4|m4v)')
_PICTURES = {'.jpg': 'image/jpeg', '.png': 'image/png'}
# Its scripts see nothing of this page, and it fetches nothing.
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'"
)


class Site:
    """Answers requests.

    Args:
        store (JobStore): The jobs.
        runner (Runner): Runs them.
        root (Path): The folder that videos are picked from.
        max_upload (int): Bytes that an upload has at most.
    """

    def __init__(self, store: JobStore, runner: Runner, root: Path, max_upload: int) -> None:
        self._store, self._runner, self._root = store, runner, root
        self._max_upload = max_upload
        self._previewer = Previewer()

    def routes(self) -> list[Route | Mount]:
        """Return all addresses."""
        job = '/api/jobs/{job:str}'
        return [
            Route('/', self.page),
            Mount('/page', StaticFiles(directory=PAGE)),
            Route('/api/offers', self.offers),
            Route('/api/files', self.files),
            Route('/api/events', self.events),
            Route('/api/jobs', self.jobs),
            Route('/api/jobs', self.add, methods=['POST', 'PUT']),
            Route(job, self.remove, methods=['DELETE']),
            Route(f'{job}/copy', self.copy, methods=['POST']),
            Route(f'{job}/preview', self.preview, methods=['POST']),
            Route(f'{job}/start', self.start, methods=['POST']),
            Route(f'{job}/stop', self.stop, methods=['POST']),
            Route(f'{job}/report', self.report, methods=['POST', 'PUT']),
            Route('/jobs/{job:str}/{name:str}', self.file),
        ]

    async def page(self, request: Request) -> Response:
        """Serve the page."""
        return FileResponse(PAGE / 'index.html')

    async def offers(self, request: Request) -> Response:
        """List what can be done, and the bound of uploads."""
        content = {'tasks': list_tasks(), 'max_upload': self._max_upload, 'preview': FRAMES}
        return JSONResponse(content)

    async def files(self, request: Request) -> Response:
        """List a folder's videos and folders."""
        folder = request.query_params.get('folder', '')
        return JSONResponse(await run_in_threadpool(list_folder, self._root, folder))

    async def jobs(self, request: Request) -> Response:
        """List all jobs."""
        return JSONResponse(self._all())

    async def events(self, request: Request) -> Response:
        """List all jobs at each change, as server-sent events."""
        return StreamingResponse(self._news(request.app.state), media_type='text/event-stream')

    async def _news(self, state: State) -> AsyncIterator[str]:
        told, quiet = -1, 0.0
        while not state.is_ending():
            if self._store.version != told:
                told, quiet = self._store.version, 0
                yield f'data: {json.dumps(self._all())}\n\n'
            elif quiet >= _QUIET_SECONDS:
                # Or nobody would notice that the page is gone.
                quiet = 0
                yield ': nothing new\n\n'
            await asyncio.sleep(_NEWS_SECONDS)
            quiet += _NEWS_SECONDS

    def _all(self) -> list[dict[str, Any]]:
        return [job.to_page() for job in self._store.all()]

    async def add(self, request: Request) -> Response:
        """Make a job of a video that is uploaded (PUT) or picked (POST)."""
        job = await self._job_of(request, self._store.add)
        return JSONResponse(job.to_page())

    async def report(self, request: Request) -> Response:
        """Make a job that compares a result with the ground truth, uploaded or picked."""
        job = self._job(request)

        def add(truth: Path) -> Job:
            return self._store.add(
                Path(job.source),
                name=job.name,
                kind='report',
                of=job.id,
                settings=job.settings,
                truth=str(truth),
                truth_frames=_whole_number(request.query_params.get('frames', '')),
            )

        made = await self._job_of(request, add)
        self._runner.enqueue(made)
        return JSONResponse(made.to_page())

    async def _job_of(self, request: Request, add: Callable[[Path], Job]) -> Job:
        """Add a job of the video that a request brings; one that fails leaves nothing behind."""
        video, is_upload = await self._video(request)
        try:
            return await run_in_threadpool(add, video)
        except BaseException:
            if is_upload:
                self._store.discard_upload(video)
            raise

    async def remove(self, request: Request) -> Response:
        """Remove a job and its files."""
        await run_in_threadpool(self._store.remove, self._job(request))
        return JSONResponse({})

    async def copy(self, request: Request) -> Response:
        """Make a new job of a job's video."""
        job = self._job(request)
        made = await run_in_threadpool(self._store.add, Path(job.source), name=job.name)
        return JSONResponse(made.to_page())

    async def preview(self, request: Request) -> Response:
        """Restore a few frames, and estimate the rest."""
        job, sent = self._job(request), await _json(request)
        settings, at = RestoreSettings.from_json(sent.get('settings')), sent.get('at')
        if not isinstance(at, int):
            raise ConfigError(f'a preview is at a frame, not at {at!r}')
        folder = self._store.folder(job)
        preview = self._previewer.preview
        return JSONResponse(await run_in_threadpool(preview, job.source, settings, at, folder))

    async def start(self, request: Request) -> Response:
        """Queue a job, or one that was stopped, which resumes."""
        job, sent = self._job(request), await _json(request)
        if job.state in ('queued', 'running', 'done'):
            raise ConfigError(f'{job.name} is {job.state} already')
        if job.state == 'new':
            settings = RestoreSettings.from_json(sent.get('settings'))
            self._runner.enqueue(job, **job.start_with(settings))
        else:
            # What is done of it was done with its settings.
            self._runner.enqueue(job)
        return JSONResponse(job.to_page())

    async def stop(self, request: Request) -> Response:
        """Stop a job; what is done is kept."""
        await run_in_threadpool(self._runner.stop, self._job(request))
        return JSONResponse({})

    async def file(self, request: Request) -> Response:
        """Serve a file of a job."""
        job, name = self._job(request), request.path_params['name']
        folder, headers = self._store.folder(job), {}
        if name == 'result' and job.kind == 'restore' and job.state == 'done':
            path, saved = folder / job.result, job.result
            return FileResponse(path, filename=saved) if path.is_file() else _gone()
        if name == 'report.html':
            path, headers = folder / REPORT / name, {'Content-Security-Policy': _REPORT_POLICY}
        elif _SERVED.fullmatch(name):
            path = folder / name
        else:
            raise HTTPException(404)
        if media_type := _PICTURES.get(path.suffix):
            # Read whole: a picture may be replaced at any time, and a FileResponse announces the
            # length of one file and then sends another.
            content = await run_in_threadpool(_read, path)
            return Response(content, media_type=media_type) if content else _gone()
        return FileResponse(path, headers=headers) if path.is_file() else _gone()

    def _job(self, request: Request) -> Job:
        try:
            return self._store.get(request.path_params['job'])
        except KeyError:
            raise HTTPException(404, 'there is no such job') from None

    async def _video(self, request: Request) -> tuple[Path, bool]:
        """Return the video that a request uploads or names, and whether it was uploaded."""
        if request.method == 'PUT':
            return await self._receive(request), True
        path = (await _json(request)).get('path')
        if not isinstance(path, str):
            raise ConfigError(f'a video is picked by its path, not by {path!r}')
        return await run_in_threadpool(inside, self._root, path), False

    async def _receive(self, request: Request) -> Path:
        """Write what is uploaded; nothing is left of what does not arrive whole."""
        path = self._store.new_upload(request.query_params.get('name', ''))
        part = path.with_name(path.name + PART)
        free = shutil.disk_usage(path.parent).free - _SPARE
        room, size = min(self._max_upload, free), 0
        try:
            self._check_room(_whole_number(request.headers.get('content-length', '')) or 0, room)
            with open(part, 'xb') as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    self._check_room(size, room)
                    await run_in_threadpool(file.write, chunk)
            await run_in_threadpool(commit, part, path)
        except BaseException:
            self._store.discard_upload(path)
            raise
        return path

    def _check_room(self, size: int, room: int) -> None:
        if size > room:
            bound = f'{room / 2**20:.1f} MB'
            if room < self._max_upload:
                raise HTTPException(413, f'too large: {bound} are free on the disk')
            raise HTTPException(
                413,
                f'too large: an upload has at most {bound}. Pick the file where it is, or start '
                's2svr web with a larger --max-upload',
            )


async def _json(request: Request) -> dict[str, Any]:
    """Read the object that a page sent."""
    text = b''
    async for chunk in request.stream():
        text += chunk
        if len(text) > _LONGEST_TEXT:
            raise HTTPException(413)
    try:
        sent = json.loads(text or b'{}')
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise HTTPException(400, 'a JSON object was expected')
    return sent


def _whole_number(text: str) -> int | None:
    return int(text) if re.fullmatch('[0-9]{1,15}', text) else None


def _read(path: Path) -> bytes:
    """Read a file; what is not there is empty."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b''


def _gone() -> Response:
    raise HTTPException(404, 'there is no such file')


def create_app(
    store: JobStore, runner: Runner, root: Path, token: str, host: str, port: int, max_upload: int
) -> Starlette:
    """Make the web application.

    Args:
        store (JobStore): The jobs.
        runner (Runner): Runs them.
        root (Path): The folder that videos are picked from.
        token (str): What a browser must know.
        host (str): Address that the server listens on.
        port (int): Its port.
        max_upload (int): Bytes that an upload has at most.

    Returns:
        Starlette: The application. Events are sent to pages until ``app.state.is_ending()``, which
        a server may replace, returns True.
    """

    async def user_error(request: Request, error: Exception) -> Response:
        return JSONResponse({'error': store.readable(str(error))}, status_code=400)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return JSONResponse({'error': error.detail}, status_code=error.status_code)

    app = Starlette(
        routes=Site(store, runner, root, max_upload).routes(),
        middleware=[Middleware(Guard, token=token, host=host, port=port)],
        exception_handlers={S2SVRError: user_error, HTTPException: http_error},
    )
    app.state.is_ending = lambda: False
    return app
