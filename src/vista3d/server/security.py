"""Who may ask, and from where: checked before a request reaches any route.

- Host: on loopback only this machine's own names, so that no page can rebind its name to us.
- Origin: a request that changes something must come from our own page or from no page at all.
- Token: where one is set, in a header or in the page's cookie; compared in constant time.
- Size: a body is counted while it arrives; the claimed length is not believed.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vista3d.server.errors import ForbiddenError, TooLargeError, UnauthorizedError
from vista3d.server.settings import Limits, Settings
from vista3d.server.wire import Wire

COOKIE = "vista3d_token"
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/"})
"""Answered without a token: the first two say only that the server runs, the page asks for it."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; worker-src 'self' blob:; "
        "img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_UPLOAD = re.compile(r"/api/v1/studies")
_MASK = re.compile(r"/api/v1/sessions/[^/]+/(brush|labels|objects/\d+/mask)")


class Guard:
    """ASGI middleware with the checks of this module.

    Args:
        app: what comes after the checks.
        settings: token, names, limits.
        wires: with paths of their own.
    """

    def __init__(self, app: ASGIApp, settings: Settings, wires: Sequence[Wire]) -> None:
        self._app, self._settings = app, settings
        self._limits = _body_limits(settings.limits)
        self._open = set(OPEN_PATHS)
        for wire in wires:
            self._limits.update(wire.body_limits)
            self._open.update(wire.open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        self._check_host(headers)
        if scope["method"] not in _SAFE:
            _check_origin(headers)
        if scope["path"] not in self._open:
            self._check_token(headers)
        await self._app(scope, self._counted(scope, headers, receive), send)

    def _check_host(self, headers: Headers) -> None:
        allowed = self._settings.hosts
        if allowed is None:
            return
        host = headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            name = None
        if name not in allowed:
            msg = f"this server is not {host[:80]!r}: open it as http://127.0.0.1 with its port"
            raise ForbiddenError(msg)

    def _check_token(self, headers: Headers) -> None:
        token = self._settings.token
        if token is not None and not carries(headers, token):
            raise no_token()

    def _counted(self, scope: Scope, headers: Headers, receive: Receive) -> Receive:
        limit = next(
            (size for path, size in self._limits.items() if path.fullmatch(scope["path"])),
            self._settings.limits.body_bytes,
        )
        claimed = headers.get("content-length", "")
        if claimed.isdigit() and int(claimed) > limit:
            raise _too_large(limit)
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
            return message

        return counted


def carries(headers: Headers, token: str) -> bool:
    """Whether a request has the token, in its header or in the page's cookie."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        given = cookie_token(headers.get("cookie", ""))
    return same_token(given.strip(), token)


def no_token() -> UnauthorizedError:
    """What is said to those without."""
    return UnauthorizedError(
        "a token is needed: send 'Authorization: Bearer TOKEN', or open the address that the "
        "server printed when it started"
    )


def same_token(given: str, token: str) -> bool:
    """Compare in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(), token.encode())


def cookie_token(text: str) -> str:
    """The token of a Cookie header, or ""."""
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _check_origin(headers: Headers) -> None:
    """Raises ForbiddenError: another site's page sent this."""
    origin = headers.get("origin")
    if headers.get("sec-fetch-site") in ("cross-site", "same-site") or (
        origin is not None and urlsplit(origin).netloc != headers.get("host")
    ):
        msg = f"a page of {(origin or 'another site')[:80]!r} may not change anything here"
        raise ForbiddenError(msg)


def _body_limits(limits: Limits) -> dict[re.Pattern[str], int]:
    return {_UPLOAD: limits.upload_bytes, _MASK: limits.mask_bytes}


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the request is larger than the {limit} bytes that are taken here")


def harden(headers: MutableHeaders) -> None:
    """Add what keeps a browser from running or embedding anything foreign."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")
