"""The annotator page: the built files of `web/`, behind the token where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from vista3d.server.routes import bare
from vista3d.server.security import COOKIE, carries, no_token, same_token
from vista3d.server.settings import Settings

STATIC = Path(__file__).resolve().parents[1] / "static"


def page_is_built() -> bool:
    """Whether this installation has the annotator page."""
    return (STATIC / "index.html").is_file()


_YEAR = 365 * 24 * 3600


def mount(app: FastAPI) -> None:
    """Add the page; after all other routes. `/` checks the token itself, to be able to ask for it.

    The token moves from the printed address or from a form to a cookie that no script reads.
    """
    settings: Settings = app.state.service.settings

    @app.get("/", include_in_schema=False)
    async def page(request: Request, token: str | None = None) -> Response:
        if settings.token is not None and token is not None:
            return _enter(request, token, settings.token)
        if settings.token is not None and not carries(request.headers, settings.token):
            return _ask(request, wrong=False)
        if not page_is_built():
            return HTMLResponse(bare.NOT_BUILT)
        return FileResponse(STATIC / "index.html")

    @app.post("/", include_in_schema=False)
    async def enter(request: Request, token: Annotated[str, Form()] = "") -> Response:
        if settings.token is None:
            return RedirectResponse("/", 303)
        return _enter(request, token, settings.token)

    app.mount("/", _Files(directory=STATIC, check_dir=False), name="static")


class _Files(StaticFiles):
    """Kept by browsers, but asked for again each time: 304 where nothing changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _enter(request: Request, given: str, token: str) -> Response:
    if not same_token(given.strip(), token):
        return _ask(request, wrong=True)
    response = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, token, max_age=_YEAR, httponly=True, samesite="strict", secure=secure
    )
    return response


def _ask(request: Request, *, wrong: bool) -> Response:
    """A form for people.

    Raises:
        UnauthorizedError: a program asked.
    """
    if "text/html" not in request.headers.get("accept", ""):
        raise no_token()
    # Under the usual policy a form is sent with "Origin: null", as a foreign one is.
    headers = {"WWW-Authenticate": "Bearer", "Referrer-Policy": "same-origin"}
    return HTMLResponse(bare.entry(wrong=wrong), 401, headers)
