# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Serving the page until it is interrupted."""

import os
import secrets
import socket
import webbrowser
from pathlib import Path

import torch
import uvicorn

from ..errors import ConfigError
from ..utils.files import output_folder
from ..utils.memory import measure_peak
from .app import create_app
from .jobs import JobStore
from .runner import Runner

_TOKEN = 'token'


def serve(
    folder: Path, root: Path, host: str, port: int, max_upload: int, open_browser: bool = False
) -> None:
    """Serve the page, and run its jobs, until interrupted.

    Args:
        folder (Path): Where jobs and uploads lie.
        root (Path): The folder that videos are picked from.
        host (str): Address to listen on.
        port (int): Its port; 0 for any that is free.
        max_upload (int): Bytes that an upload has at most.
        open_browser (bool): Whether to open the page. Defaults to False.

    Raises:
        ConfigError: A folder can't be used, or the port is taken.
        OutputError: Another server has the folder.
    """
    if not root.is_dir():
        raise ConfigError(f'--root {root} is not a folder')
    with _listening(host, port) as listener, output_folder(folder, '--folder'):
        port = listener.getsockname()[1]
        token = _token(folder / _TOKEN)
        store = JobStore(folder.resolve())
        runner = Runner(store)
        app = create_app(store, runner, root, token, host, port, max_upload)
        # A slow page must not delay the end of the server.
        config = uvicorn.Config(app, log_level='warning', timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        app.state.is_ending = lambda: server.should_exit
        name = f'[{host}]' if ':' in host else host
        address = f'http://{name}:{port}/?token={token}'
        print(f'{address}\n(Ctrl-C ends the server; the next one resumes its jobs)', flush=True)
        # torch's profiler, which previews need, has to be started in the main thread.
        measure_peak(lambda: None, torch.device('cpu'))
        runner.start()
        if open_browser:
            webbrowser.open(address)
        try:
            server.run(sockets=[listener])
        finally:
            runner.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == 'posix':
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise ConfigError(
            f'cannot listen on {host}:{port} ({error}): give another --port, or 0 for any free one'
        ) from error
    return listener


def _token(path: Path) -> str:
    """Return a folder's secret: the same for the next server, or pages would be shut out."""
    if not path.is_file():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'w') as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text(encoding='ascii')
