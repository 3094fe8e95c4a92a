# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A page with its jobs in a temporary folder, and a browser of it that needs no socket."""

from pathlib import Path

from starlette.testclient import TestClient

from s2svr_mm.web.app import create_app
from s2svr_mm.web.jobs import JobStore
from s2svr_mm.web.runner import Runner

TOKEN, PORT, MAX_UPLOAD = 'secret', 8017, 200_000


class Site:
    """A page whose queue stands still unless it is started."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.store = JobStore(folder)
        self.runner = Runner(self.store)
        self.app = create_app(
            self.store, self.runner, root, TOKEN, '127.0.0.1', PORT, max_upload=MAX_UPLOAD
        )
        self.client = self.visitor()
        self.client.get('/', params={'token': TOKEN})

    def visitor(self) -> TestClient:
        """A browser that does not know the token yet."""
        origin = f'http://127.0.0.1:{PORT}'
        return TestClient(self.app, base_url=origin, headers={'origin': origin})

    def upload(self, path: Path) -> dict:
        """Upload a video; returns its job."""
        answer = self.client.put(f'/api/jobs?name={path.name}', content=path.read_bytes())
        assert answer.status_code == 200, answer.text
        return answer.json()
