"""`/session/`: an image for as long as a client needs it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from fastapi.responses import FileResponse
from starlette.concurrency import run_in_threadpool

from vista3d.results.json_file import write_json
from vista3d.server.errors import ConflictError, NotFoundError
from vista3d.server.service import Service
from vista3d.server.wires.conversations import Conversations
from vista3d.server.wires.uploads import receive

USUAL, LONGEST = 3600, 24 * 3600
"""Seconds without use after which an image goes."""


@dataclass(frozen=True)
class _Loan:
    expiry: int
    created: float
    used: float


class ImageSessions:
    """The endpoints. A session's id is its study's, so that it outlives a restart of the server.

    Args:
        service: of the server.
        conversations: on the images.
    """

    def __init__(self, service: Service, conversations: Conversations) -> None:
        self._service, self._conversations = service, conversations
        self._lock = threading.Lock()
        self._file = service.storage.root / "loans.json"
        self._loans = self._kept()

    async def create(self, request: Request, expiry: int = 0) -> dict[str, Any]:
        """Take in an image: one volume file, a zip of DICOM, or DICOM slices."""
        await run_in_threadpool(self.drop_expired)
        with self._service.storage.incoming() as folder:
            form = await receive(self._service, request, folder)
            files = [file for file in form.files if file.field == "files"]
            row = await run_in_threadpool(self._service.studies.add, files)
        seconds = min(expiry, LONGEST) if expiry > 0 else USUAL
        now = time.time()
        with self._lock:
            self._loans[row.id] = _Loan(seconds, now, now)
            self._keep()
        return {"session_id": row.id, "session_info": self._info(row.id)}

    def get(self, session_id: str, image: bool = False) -> Any:
        """What is known of a session, or its image."""
        self.touch(session_id)
        if image:
            path = self._service.studies.image(session_id)
            return FileResponse(path, filename=f"{session_id}.nii.gz")
        return self._info(session_id)

    def remove(self, session_id: str) -> dict[str, Any]:
        """Delete the image of a session."""
        if session_id not in self._loans:
            msg = f"there is no session {session_id[:80]!r}"
            raise NotFoundError(msg)
        self._remove(session_id)
        return {}

    def touch(self, session_id: str) -> None:
        """Note that a session is used.

        Raises:
            NotFoundError: it is unknown, or has expired.
        """
        self._service.studies.find(session_id)
        with self._lock:
            loan = self._loans.get(session_id)
            if loan is not None:
                self._loans[session_id] = replace(loan, used=time.time())

    def _info(self, key: str) -> dict[str, Any]:
        now = time.time()
        loan = self._loans.get(key, _Loan(USUAL, now, now))
        return {
            "name": key, "path": "", "image": key, "meta": {}, "create_ts": int(loan.created),
            "last_access_ts": int(loan.used), "expiry": loan.expiry,
        }  # fmt: skip

    def drop_expired(self) -> None:
        """Let go of what nobody used for its time."""
        now = time.time()
        for key, loan in list(self._loans.items()):
            if now - loan.used > loan.expiry:
                self._remove(key)

    def _remove(self, key: str) -> None:
        """An image on which somebody works in the annotator stays, as an ordinary study."""
        self._conversations.end(key)
        with self._lock:
            self._loans.pop(key, None)
            self._keep()
        with contextlib.suppress(ConflictError, NotFoundError):
            self._service.studies.remove(key)

    def _keep(self) -> None:
        """For the next run of the server: images must go then, too."""
        kept = {key: [loan.expiry, loan.created] for key, loan in self._loans.items()}
        write_json(self._file, kept)

    def _kept(self) -> dict[str, _Loan]:
        """Of the former run; time without a server does not count as unused."""
        try:
            kept = json.loads(self._file.read_text())
            return {key: _Loan(int(e), float(c), time.time()) for key, (e, c) in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
