# Copyright (c) s2svr_mm authors. Licensed under Apache-2.0.
"""Access to the page: only with its token, and changes only from the page itself."""

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_COOKIE_SECONDS = 30 * 24 * 3600
_LOCAL = frozenset(['127.0.0.1', 'localhost', '::1'])
_CHANGES_NOTHING = frozenset(['GET', 'HEAD'])
_OWN = "'self'"
_POLICY = (
    f"default-src 'none'; script-src {_OWN}; style-src {_OWN}; img-src {_OWN}; media-src {_OWN}; "
    f"connect-src {_OWN}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    'Content-Security-Policy': _POLICY,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-cache',
}


class Guard:
    """ASGI middleware that lets nobody through but the page.

    A request needs the name of this machine as its host (another name that leads here is an
    attack), the cookie that opening ``/?token=...`` sets, and, if it changes something, the page
    as its origin.

    Args:
        app (ASGIApp): What is guarded.
        token (str): The secret.
        host (str): The address that the server listens on.
        port (int): Its port: cookies belong to a machine, whatever the port.
    """

    def __init__(self, app: ASGIApp, token: str, host: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = _LOCAL | {host.lower()}
        self._cookie = f's2svr_{port}'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message['type'] == 'http.response.start':
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(scope)
        await (answer or self._app)(scope, receive, send_guarded)

    def _answer(self, scope: Scope) -> Response | None:
        """Return what to answer instead of the app, if anything."""
        headers = Headers(scope=scope)
        host = headers.get('host', '')
        if _name_of(host) not in self._hosts:
            return _refused('this page has another address')
        given = parse_qs(scope['query_string'].decode('latin-1')).get('token')
        if given and scope['path'] == '/' and self._is_token(given[0]):
            response = RedirectResponse('/', status_code=303)
            response.set_cookie(
                self._cookie,
                self._token,
                max_age=_COOKIE_SECONDS,
                httponly=True,
                samesite='strict',
            )
            return response
        if not self._is_token(_cookies(headers).get(self._cookie, '')):
            return _refused('open the address with its token that s2svr web has printed')
        if scope['method'] not in _CHANGES_NOTHING:
            origin = headers.get('origin')
            if origin not in (f'http://{host}', f'https://{host}'):
                return _refused(f'only the page itself starts and stops jobs, not {origin}')
        return None

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f'//{host}').hostname or '').lower()
    except ValueError:
        return ''


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        cookies = SimpleCookie(headers.get('cookie', ''))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in cookies.items()}


def _refused(why: str) -> Response:
    return PlainTextResponse(f'Refused: {why}.', status_code=403)
