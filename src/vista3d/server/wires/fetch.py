"""Scans from addresses that the operator has allowed; no other address is ever asked.

The prefix is compared with the parsed address, redirects are not followed, and the size is counted
while it arrives: a server that fetches for others must not reach what they cannot.
"""

from __future__ import annotations

import http.client
import time
import urllib.request
from collections.abc import Sequence
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, urlsplit

from vista3d.errors import ArchiveError, UsageError
from vista3d.server.errors import ForbiddenError, StartError, TooLargeError

_CHUNK = 2**20

_IDLE, _WHOLE = 30, 600
"""Seconds between two bytes, and of a download."""


class AllowedUrls:
    """Prefixes such as https://pacs.example.org/exports/.

    Args:
        prefixes: http or https; a path counts as a folder.

    Raises:
        StartError: not such a prefix.
    """

    def __init__(self, prefixes: Sequence[str]) -> None:
        self._prefixes = [_prefix(text) for text in prefixes]
        self._opener = urllib.request.build_opener(_NoRedirect)

    def download(self, url: str, path: Path, limit: int) -> None:
        """Fetch at most `limit` bytes.

        Raises:
            ForbiddenError: an address that is not allowed, or one that points elsewhere.
            TooLargeError: more bytes.
            ArchiveError: it cannot be fetched.
        """
        self._check(url)
        deadline = time.monotonic() + _WHOLE
        try:
            with self._opener.open(url, timeout=_IDLE) as answer, path.open("wb") as file:
                size = 0
                while chunk := answer.read1(_CHUNK):
                    size += len(chunk)
                    if size > limit:
                        msg = f"the address holds more than the {limit} bytes that are taken"
                        raise TooLargeError(msg)
                    if time.monotonic() > deadline:
                        msg = f"the download takes more than {_WHOLE} s"
                        raise ArchiveError(msg)
                    file.write(chunk)
        except (OSError, http.client.HTTPException, ValueError) as error:
            status = getattr(error, "code", type(error).__name__)
            msg = f"the image cannot be fetched ({status}): upload it instead"
            raise ArchiveError(msg) from error

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            place = _place(parts)
        except ValueError:
            msg = f"{url[:80]!r} is no address"
            raise UsageError(msg) from None
        # Nothing that another parser of addresses could read in another way.
        odd = not (url.isascii() and url.isprintable()) or any(c in url for c in " \\<>")
        odd = odd or "%" in parts.path or ".." in parts.path.split("/")
        if odd or not any(
            place == where and parts.path.startswith(path) for where, path in self._prefixes
        ):
            msg = (
                f"images are not fetched from {url[:80]!r}: upload the image and send its id, or "
                "start the server with --allow-url"
            )
            raise ForbiddenError(msg)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The target of a redirect was not allowed by anybody."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str,
        headers: Message, newurl: str,
    ) -> None:  # fmt: skip
        text = "the address points to another one, which is not followed: give that one"
        raise ForbiddenError(text)


_Place = tuple[str, str, int]


def _place(parts: SplitResult) -> _Place:
    """Scheme, host and port.

    Raises:
        ValueError: not http(s), or with a user name.
    """
    ports = {"http": 80, "https": 443}
    if parts.scheme not in ports or not parts.hostname or "@" in parts.netloc:
        raise ValueError
    return parts.scheme, parts.hostname, parts.port or ports[parts.scheme]


def _prefix(text: str) -> tuple[_Place, str]:
    try:
        parts = urlsplit(text)
        place = _place(parts)
    except ValueError:
        msg = f"--allow-url {text[:80]!r}: give http:// or https://, a host and a folder"
        raise StartError(msg) from None
    return place, parts.path.rstrip("/") + "/"
