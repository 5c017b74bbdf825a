"""The annotator page: the built files of `web/`, or a word on how to build them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from vista3d.server.errors import UnauthorizedError
from vista3d.server.security import COOKIE, same_token
from vista3d.server.settings import Settings

STATIC = Path(__file__).resolve().parents[1] / "static"

_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>vista3d</title>
<h1>vista3d is running</h1>
<p>The annotator page was not built into this installation. In a checkout:
<code>cd web &amp;&amp; npm ci &amp;&amp; npm run build</code>, then reload.</p>
<p>The API is at <a href="/api/v1/info">/api/v1</a>, described in
<a href="/api/v1/openapi.json">/api/v1/openapi.json</a>.</p>
<p>Research software, not a medical device.</p></html>"""

_YEAR = 365 * 24 * 3600


def mount(app: FastAPI) -> None:
    """Add the page; after all other routes."""

    @app.get("/", include_in_schema=False)
    async def page(request: Request, token: str | None = None) -> Response:
        settings: Settings = app.state.service.settings
        if token is not None and settings.token is not None:
            return _enter(token, settings.token, request.url.scheme == "https")
        index = STATIC / "index.html"
        return FileResponse(index) if index.is_file() else HTMLResponse(_NOT_BUILT)

    app.mount("/", _Files(directory=STATIC, check_dir=False), name="static")


class _Files(StaticFiles):
    """Kept by browsers, but asked for again each time: 304 where nothing changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _enter(given: str, token: str, secure: bool) -> Response:
    """The token moves from the address, which is shown and kept, to a cookie that no script reads.

    Raises:
        UnauthorizedError: a wrong one.
    """
    if not same_token(given, token):
        msg = "wrong token: open the address that the server printed when it started"
        raise UnauthorizedError(msg)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        COOKIE, token, max_age=_YEAR, httponly=True, samesite="strict", secure=secure
    )
    return response
