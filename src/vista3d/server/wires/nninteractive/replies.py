"""Answers as this protocol has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from vista3d.errors import Vista3DError
from vista3d.server.answers import error_response
from vista3d.server.wires.nninteractive.arrays import pack
from vista3d.server.wires.nninteractive.scene import Change

META = "X-Meta"
BINARY = "application/octet-stream"


def prediction(change: Change) -> Response:
    """The changed part of the object, and where it is."""
    meta: dict[str, Any] = {"ran_prediction": change.ran, "bbox": None}
    body = b""
    if change.box is not None and change.values is not None:
        meta["bbox"] = [[part.start, part.stop] for part in change.box]
        meta["dtype"], meta["shape"] = change.values.dtype.name, list(change.values.shape)
        body = pack(change.values)
    headers = {META: json.dumps(meta, separators=(",", ":"))}
    return Response(body, media_type=BINARY, headers=headers)


class DetailRoute(APIRoute):
    """Errors with the key `detail` beside the server's own: clients show that one."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def detailed(request: Request) -> Response:
            try:
                return await handler(request)
            except Vista3DError as error:
                plain = error_response(error, str(request.state.request_id))
                content = {**json.loads(bytes(plain.body)), "detail": str(error)}
                kept = {"retry-after", "www-authenticate"}
                headers = {k: v for k, v in plain.headers.items() if k in kept}
                return JSONResponse(content, plain.status_code, headers)

        return detailed
