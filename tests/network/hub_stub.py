"""A Hugging Face hub on loopback: HEAD and GET of one file, redirects, ranges, faults."""

from __future__ import annotations

import hashlib
import http.server
import threading
from dataclasses import dataclass, field

COMMIT = "a" * 40


@dataclass
class Hub:
    """What the stub serves, and what it was asked.

    Attributes:
        repository: owner and name; all others are 404.
        file: path in the repository.
        content: what GET sends.
        stated: sha256 in the headers; None states what a small file has, a git hash.
        gated: answer 403 as for a licence that was not accepted.
        drop_after: bytes after which GET breaks off, once for each entry.
        ignore_ranges: answer 200 with everything, as some mirrors do.
        asked: (method, path, Range header) in order.
    """

    repository: str
    file: str
    content: bytes
    stated: str | None = ""
    gated: bool = False
    drop_after: list[int] = field(default_factory=list)
    ignore_ranges: bool = False
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    url: str = ""
    cdn: str = ""

    def __post_init__(self) -> None:
        if self.stated == "":
            self.stated = hashlib.sha256(self.content).hexdigest()

    @property
    def etag(self) -> str:
        return self.stated or "b" * 40

    def ranges(self) -> list[str | None]:
        """Range headers of the transfers."""
        return [r for method, path, r in self.asked if method == "GET" and path == "/cdn"]


def serve(hub: Hub) -> http.server.ThreadingHTTPServer:
    """Start the stub on a free port; sets `hub.url`. The caller shuts it down."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, *args: object) -> None:
            pass

        def _answer(self) -> None:
            hub.asked.append((self.command, self.path, self.headers.get("Range")))
            if self.path == "/cdn":
                self._transfer()
            elif self.path in [
                f"/{hub.repository}/resolve/{revision}/{hub.file}" for revision in ("main", COMMIT)
            ]:
                if hub.gated:
                    self._empty(403, {"X-Error-Code": "GatedRepo", "X-Error-Message": "gated"})
                else:
                    self._empty(302, {"Location": f"{hub.cdn}/cdn", **self._headers()})
            else:
                self._empty(404, {"X-Error-Code": "RepoNotFound"})

        def _headers(self) -> dict[str, str]:
            return {
                "X-Repo-Commit": COMMIT,
                "X-Linked-Etag": f'"{hub.etag}"',
                "X-Linked-Size": str(len(hub.content)),
            }

        def _empty(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def _transfer(self) -> None:
            asked = self.headers.get("Range")
            start = 0 if asked is None or hub.ignore_ranges else int(asked[6:].split("-")[0])
            body = hub.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            if start:
                size = len(hub.content)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.end_headers()
            if self.command == "GET":
                end = hub.drop_after.pop(0) if hub.drop_after else len(body)
                self.wfile.write(body[:end])
                self.close_connection = True

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    hub.url = f"http://127.0.0.1:{port}"
    hub.cdn = f"http://localhost:{port}"  # another host, as the storage of the real hub is
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server
