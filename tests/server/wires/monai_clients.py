"""What MONAI Label's clients in 3D Slicer and OHIF send and how they read the answers.

Restated in our own words from the facts in ecosystem C1, with the quirks that a server meets.
"""

from __future__ import annotations

import email.parser
import email.policy
import http.client
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

import numpy as np

BOUNDARY = "----------lImIt_of_THE_fIle_eW_$"


class Slicer:
    """3D Slicer's client: http.client and a form written by hand."""

    def __init__(self, url: str, client_id: str = "user-xyz") -> None:
        self.url, self.client_id = urlsplit(url), client_id
        self.headers: dict[str, str] = {}

    def request(self, method: str, path: str, body=None, headers=None):
        """Status, headers and bytes of an answer."""
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=60)
        try:
            connection.request(method, path, body, {**self.headers, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: dict | None = None) -> Any:
        """Any status but 200 is a failure to this client."""
        data = None if body is None else json.dumps({**body, "client_id": self.client_id})
        status, _, answer = self.request(method, path, data)
        assert status == 200, answer
        return json.loads(answer)

    def form(self, method: str, path: str, params: dict, files: dict[str, Path]):
        """A form with `params` and files, whose names are whole local paths."""
        body = bytearray()
        fields = {"params": json.dumps({**params, "client_id": self.client_id})}
        for key, value in fields.items():
            body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n'.encode()
            body += b"\r\n" + value.encode() + b"\r\n"
        for key, path_ in files.items():
            disposition = f'form-data; name="{key}"; filename="{path_}"'
            body += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n".encode()
            body += b"Content-Type: application/octet-stream\r\n\r\n" + path_.read_bytes() + b"\r\n"
        body += f"--{BOUNDARY}--\r\n\r\n".encode()
        headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        return self.request(method, path, bytes(body), headers)

    def infer(self, model: str, image: str, params: dict, session: str | None = None):
        """File name, bytes and parameters of a result."""
        path = f"/infer/{quote_plus(model)}?image={quote_plus(image)}"
        if session is not None:
            path += f"&session_id={quote_plus(session)}"
        sent = {"result_extension": ".nrrd", "result_dtype": "uint8", **params}
        status, headers, body = self.form("POST", path, sent, {})
        assert status == 200, body
        form, files = field_storage(headers["content-type"], body)
        (name, data), *_ = files.items()
        return name, data, json.loads(form["params"])


def field_storage(content_type: str, body: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    """Fields by name and files by file name, as cgi.FieldStorage has them."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    whole = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    form, files = {}, {}
    for part in whole.iter_parts():
        data = part.get_payload(decode=True)
        name = part.get_filename()
        if name:
            files[name] = data
        else:
            form[part.get_param("name", header="content-disposition")] = data.decode()
    return form, files


def slicer_segments(values: np.ndarray, label_names: dict[str, int]) -> dict[str, np.ndarray]:
    """Names are given to the values that are present, in ascending order of both."""
    names = [n for n, _ in sorted(label_names.items(), key=lambda item: item[1])
             if n != "background"]  # fmt: skip
    present = [v for v in np.unique(values) if v != 0]
    assert len(names) == len(present)
    return {name: values == value for name, value in zip(names, present, strict=True)}


@dataclass
class Parsed:
    """What OHIF's panel keeps of an answer."""

    header: dict[str, str]
    voxels: np.ndarray
    centroids: dict[int, list[float]]


def ohif_parse(content_type: str, body: bytes) -> Parsed:
    """The panel that asks for output=all: it decodes everything as UTF-8 and searches strings."""
    boundary = re.search(r"boundary=([^;]+)", content_type, re.IGNORECASE).group(1)
    text = body.decode("utf-8", "replace")
    parts = [part for part in text.split(f"--{boundary}") if part.strip()]
    json_part = next(p for p in parts if "Content-Type: application/json" in p)
    nrrd_part = next(p for p in parts if "Content-Type: application/octet-stream" in p)
    params = json.loads(json_part[json_part.index("{") : json_part.rindex("}") + 1])
    binary = nrrd_part.split("\r\n\r\n")[1]
    data = bytes(ord(c) & 0xFF for c in binary[: binary.rindex("\r\n")])
    header, voxels = ohif_nrrd(data, "<u2")
    centroids = {int(v[0]): [float(x) for x in v[1:]] for v in params["centroids"].values()}
    return Parsed(header, voxels, centroids)


def ohif_nrrd(data: bytes, dtype: str) -> tuple[dict[str, str], np.ndarray]:
    """Header fields and flat voxels; nrrd-js knows raw data only."""
    head, _, raw = data.partition(b"\n\n")
    lines = [line for line in head.decode().splitlines()[1:] if not line.startswith("#")]
    header = dict(re.split(r":=?\s*", line, maxsplit=1) for line in lines)
    assert header["encoding"] == "raw"
    return header, np.frombuffer(raw, dtype)
