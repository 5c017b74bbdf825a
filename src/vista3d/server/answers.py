"""What every answer has: a request id, safe headers, a line in the log, errors in one form.

The log names routes by their template and never a query, a file or a person.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vista3d.errors import Vista3DError
from vista3d.server.errors import BusyError
from vista3d.server.metrics import Metrics
from vista3d.server.security import harden

log = logging.getLogger(__name__)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""What may stand in logs and metrics; clients can send any word."""


class Answers:
    """ASGI middleware outside all others: ids, log, metrics, errors of the checks."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = secrets.token_hex(8)
        started, status = time.perf_counter(), 0

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                harden(headers)
            await send(message)

        try:
            await self._app(scope, receive, told)
        except Exception as error:
            if status:
                raise  # too late for another answer: the connection is cut
            response = error_response(_known(error, request_id), request_id)
            await response(scope, receive, told)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "(none)")
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            self._metrics.count(method, route, status, seconds)
            log.info("%s %s %d %.3f s %s", method, route, status, seconds, request_id)


def add_error_handlers(app: FastAPI) -> None:
    """Every error as `{"error", "message", "request_id"}`."""

    @app.exception_handler(Vista3DError)
    async def known(request: Request, error: Vista3DError) -> JSONResponse:
        return error_response(error, _id(request))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first: dict[str, Any] = dict(error.errors()[0])
        where = ".".join(str(part) for part in first["loc"])
        return _response(422, "UsageError", f"{where}: {first['msg']}", _id(request))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error.__cause__, Vista3DError):  # a body that was refused while it was read
            return error_response(error.__cause__, _id(request))
        names = {404: "NotFoundError", 405: "MethodNotAllowedError"}
        name = names.get(error.status_code, "HTTPError")
        return _response(error.status_code, name, str(error.detail), _id(request))


def _known(error: Exception, request_id: str) -> Vista3DError:
    """A typed error as it is; a bug goes to the log and is not told to strangers."""
    if isinstance(error, Vista3DError):
        return error
    log.error("request %s failed", request_id, exc_info=error)
    return Vista3DError("an unexpected error: the server's log says more under this request id")


def error_response(error: Vista3DError, request_id: str) -> JSONResponse:
    """A typed error with its status, and Retry-After where trying again helps."""
    response = _response(error.http_status, type(error).__name__, str(error), request_id)
    if isinstance(error, BusyError):
        response.headers["Retry-After"] = str(error.retry_after)
    if error.http_status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _response(status: int, name: str, message: str, request_id: str) -> JSONResponse:
    content = {"error": name, "message": message, "request_id": request_id}
    return JSONResponse(content, status)


def _id(request: Request) -> str:
    return str(request.state.request_id)
