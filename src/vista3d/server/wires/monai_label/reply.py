"""The answer to an inference: a label file and its parameters, in the forms that clients parse."""

from __future__ import annotations

import json
import secrets
from typing import Any

from fastapi.responses import JSONResponse, Response

BINARY = "application/octet-stream"


def multipart(params: dict[str, Any], data: bytes, extension: str) -> Response:
    """`params` and `image` as one form.

    3D Slicer reads it with cgi.FieldStorage, OHIF with string searches for these very headers: the
    spelling of the part headers and the order of the parts matter.
    """
    boundary = secrets.token_hex(16)
    name = f"vista3d-{secrets.token_hex(8)}{extension}"  # 3D Slicer keeps it under this name
    head = (
        f"--{boundary}\r\n"
        'Content-Disposition: form-data; name="params"\r\n'
        "Content-Type: application/json\r\n\r\n"
        f"{json.dumps(params)}\r\n"
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="image"; filename="{name}"\r\n'
        f"Content-Type: {BINARY}\r\n\r\n"
    )
    body = b"".join((head.encode(), data, f"\r\n--{boundary}--\r\n".encode()))
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}")


def answer(output: str, params: dict[str, Any], data: bytes, extension: str) -> Response:
    """In the form that `output` names: "image", "json", or both."""
    if output == "image":
        headers = {"Content-Disposition": f'attachment; filename="label{extension}"'}
        return Response(data, media_type=BINARY, headers=headers)
    if output == "json":
        return JSONResponse(params)
    return multipart(params, data, extension)
