# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""A headless Chromium, driven over the W3C WebDriver protocol by its chromedriver."""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'
_ARGUMENTS = (
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-dev-shm-usage',
)


class Browser:
    """One window of a browser.

    Args:
        port (int): Where chromedriver listens.
        profile (Path): An empty folder for its settings.
        size (tuple[int, int]): Width and height of the window.
    """

    def __init__(self, port: int, profile: Path, size: tuple[int, int]) -> None:
        self._base = f'http://127.0.0.1:{port}'
        options = {
            'args': [
                *_ARGUMENTS,
                f'--user-data-dir={profile}',
                f'--window-size={size[0]},{size[1]}',
            ]
        }
        logs = {'performance': 'ALL', 'browser': 'ALL'}
        wanted = {'goog:chromeOptions': options, 'goog:loggingPrefs': logs}
        session = self._call('/session', {'capabilities': {'alwaysMatch': wanted}})
        self._base += f'/session/{session["sessionId"]}'

    def _call(self, path: str, content: dict | None = None, method: str = 'POST') -> Any:
        body = None if method != 'POST' else json.dumps(content or {}).encode()
        headers = {'Content-Type': 'application/json'}
        try:
            with urlopen(
                Request(self._base + path, body, headers, method=method), timeout=60
            ) as answer:
                return json.load(answer)['value']
        except HTTPError as error:
            raise RuntimeError(json.load(error)['value']['message']) from None

    def open(self, place: Path | str) -> None:
        """Open a file or an address."""
        url = place if isinstance(place, str) else place.resolve().as_uri()
        self._call('/url', {'url': url})

    def wait(self, script: str, *arguments: Any, seconds: float = 60) -> Any:
        """Run JavaScript again and again until it returns something true."""
        end = time.monotonic() + seconds
        while not (found := self.run(script, *arguments)):
            if time.monotonic() > end:
                raise TimeoutError(f'{script} within {seconds} s; the page has:\n{self.text()}')
            time.sleep(0.1)
        return found

    def text(self) -> str:
        """What is to be read on the page."""
        return self.run('return document.body.innerText')

    def screenshot(self) -> bytes:
        """The window's content, a PNG."""
        return base64.b64decode(self._call('/screenshot', method='GET'))

    def emulate(self, width: int, height: int, dark: bool = False) -> None:
        """Show pages as on a screen of another size, or of one whose owner prefers dark."""
        scheme = {'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}
        for command, given in {
            'Emulation.setDeviceMetricsOverride': {
                'width': width,
                'height': height,
                'deviceScaleFactor': 1,
                'mobile': width < 600,
            },
            'Emulation.setEmulatedMedia': {'features': [scheme]},
        }.items():
            self._call('/goog/cdp/execute', {'cmd': command, 'params': given})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript that may ``return`` something."""
        return self._call('/execute/sync', {'script': script, 'args': list(arguments)})

    def find(self, selector: str) -> str:
        """An element by its CSS selector, scrolled into view."""
        found = self._call('/element', {'using': 'css selector', 'value': selector})[_ELEMENT]
        self.run("arguments[0].scrollIntoView({block: 'center'})", {_ELEMENT: found})
        return found

    def click(self, selector: str) -> None:
        """Click an element."""
        self._call(f'/element/{self.find(selector)}/click')

    def press(self, selector: str, keys: str) -> None:
        """Send keys to an element."""
        self._call(f'/element/{self.find(selector)}/value', {'text': keys})

    def drag(self, selector: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Drag the mouse inside an element; places in pixels from its middle."""
        origin = {_ELEMENT: self.find(selector)}

        def move(place: tuple[int, int]) -> dict[str, Any]:
            x, y = place
            return {'type': 'pointerMove', 'duration': 20, 'origin': origin, 'x': x, 'y': y}

        actions = [
            move(start),
            {'type': 'pointerDown', 'button': 0},
            move(end),
            {'type': 'pointerUp', 'button': 0},
        ]
        self._call(
            '/actions', {'actions': [{'type': 'pointer', 'id': 'mouse', 'actions': actions}]}
        )

    def fetched(self) -> list[str]:
        """All addresses that were asked for since the last call, but for the browser's own."""
        events = [json.loads(line['message'])['message'] for line in self._log('performance')]
        urls = [
            event['params']['request']['url']
            for event in events
            if event['method'] == 'Network.requestWillBeSent'
        ]
        return [url for url in urls if not url.startswith('chrome')]

    def complaints(self) -> list[str]:
        """What the console says of errors since the last call."""
        return [line['message'] for line in self._log('browser')]

    def _log(self, kind: str) -> Sequence[dict[str, str]]:
        return self._call('/se/log', {'type': kind})

    def close(self) -> None:
        """End the browser."""
        self._call('', method='DELETE')


@contextmanager
def started(folder: Path, size: tuple[int, int] = (1200, 900)) -> Iterator[Browser]:
    """A browser until the end of the block.

    Raises:
        RuntimeError: There is none on this machine.
    """
    missing = [name for name in ('chromium', 'chromedriver') if shutil.which(name) is None]
    if missing:
        raise RuntimeError(
            f'there is no {" and no ".join(missing)} here: apt-get install chromium '
            "chromium-driver, or leave these tests out (-m 'not browser')"
        )
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    profile = folder / 'profile'
    profile.mkdir()
    with open(folder / 'chromedriver.log', 'wb') as log:
        driver = subprocess.Popen(['chromedriver', f'--port={port}'], stdout=log, stderr=log)
        try:
            _wait(port)
            browser = Browser(port, profile, size)
            try:
                yield browser
            finally:
                browser.close()
        finally:
            driver.terminate()
            driver.wait()


def _wait(port: int, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            with urlopen(f'http://127.0.0.1:{port}/status', timeout=5) as answer:
                if json.load(answer)['value']['ready']:
                    return
        except URLError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)
