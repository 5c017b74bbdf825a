"""The private folder, and the index of what is in it.

SQLite in WAL mode with full synchronisation: what was committed outlives SIGKILL and a power cut.
Names of files on disk are ids, never what a client or a DICOM header said.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from sqlalchemy import (
    Engine,
    ForeignKey,
    Integer,
    String,
    Text,
    create_engine,
    delete,
    event,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from vista3d.server.errors import ConflictError, NotFoundError, StartError, StorageFullError

Source = Literal["upload", "folder"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def new_id() -> str:
    """128 random bits: nobody finds a study or session that they were not told of."""
    return secrets.token_urlsafe(16)


def now() -> str:
    """ISO time in UTC."""
    return dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class StudyRow:
    """What is known of a scan without reading it.

    Attributes:
        id: opaque.
        name: for people.
        source: "upload" (the server's own copy) or "folder" (under --data, never changed).
        path: where it is.
        created: ISO time.
        format: as `VolumeMeta.format`, "" before it was read.
        shape, affine: of the grid, None before it was read (folder studies).
        warnings: of reading it.
    """

    id: str
    name: str
    source: Source
    path: str
    created: str
    format: str = ""
    shape: tuple[int, int, int] | None = None
    affine: list[list[float]] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SessionRow:
    """What is known of a session without opening it; `revision` is the one on disk."""

    id: str
    study: str
    revision: int
    created: str
    updated: str


class _Base(DeclarativeBase):
    pass


class _Study(_Base):
    __tablename__ = "studies"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(String(8))
    path: Mapped[str] = mapped_column(Text)
    created: Mapped[str] = mapped_column(String(32))
    format: Mapped[str] = mapped_column(String(16))
    grid: Mapped[str] = mapped_column(Text)


class _Session(_Base):
    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("studies.id"), index=True)
    revision: Mapped[int] = mapped_column(Integer)
    created: Mapped[str] = mapped_column(String(32))
    updated: Mapped[str] = mapped_column(String(32))


class Storage:
    """The folder and its index.

    Args:
        root: made where it is missing, readable by its owner alone.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        for folder in (self.root, self.root / "studies", self.root / "sessions"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        self._lock = FileLock(self.root / "lock", mode=0o600)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            msg = f"another server works in {self.root}: stop it, or choose another --storage"
            raise StartError(msg) from error
        shutil.rmtree(self.root / "incoming", ignore_errors=True)  # what a former run left
        (self.root / "incoming").mkdir(mode=0o700)
        self._engine = _engine(self.root / "index.sqlite")
        self._sessions = sessionmaker(self._engine)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()
        self._lock.release()

    # Files.

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """A private folder for what has not been checked yet; gone at the end."""
        folder = self.root / "incoming" / new_id()
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def check_room(self, size: int) -> None:
        """Raises StorageFullError: less than `size` bytes are free."""
        free = shutil.disk_usage(self.root).free
        if free < size:
            msg = f"{free} bytes are free on the server's disk: delete studies, or make room"
            raise StorageFullError(msg)

    def study_folder(self, study: str) -> Path:
        """Where an upload lies, and what is made from any study."""
        return self._under("studies", study)

    def session_file(self, session: str) -> Path:
        """Where a session is saved."""
        return self._under("sessions", session).with_suffix(".vista3d")

    def _under(self, kind: str, name: str) -> Path:
        if not _ID.fullmatch(name):
            msg = f"{name[:80]!r} is not an id of this server"
            raise NotFoundError(msg)
        return self.root / kind / name

    # Studies.

    def add_study(self, row: StudyRow) -> None:
        """Add a study, or replace what is known of it."""
        with self._sessions.begin() as db:
            db.merge(_Study(**_study_out(row)))

    def study(self, study: str) -> StudyRow:
        """Raises NotFoundError: no such study."""
        with self._sessions() as db:
            found = db.get(_Study, study)
            if found is None:
                msg = f"there is no study {study[:80]!r}: GET /api/v1/studies lists them"
                raise NotFoundError(msg)
            return _study_in(found)

    def studies(self) -> list[StudyRow]:
        """All, oldest first."""
        with self._sessions() as db:
            return [_study_in(s) for s in db.scalars(select(_Study).order_by(_Study.created))]

    def remove_study(self, study: str) -> None:
        """Forget a study and delete the server's files of it.

        Raises:
            ConflictError: it has sessions.
        """
        try:
            with self._sessions.begin() as db:
                db.execute(delete(_Study).where(_Study.id == study))
        except IntegrityError as error:  # asked in one step: a session may begin at any moment
            msg = "the study has sessions: delete them first, their work would be lost"
            raise ConflictError(msg) from error
        shutil.rmtree(self.study_folder(study), ignore_errors=True)

    # Sessions.

    def add_session(self, session: str, study: str) -> SessionRow:
        """Index a new session.

        Raises:
            NotFoundError: the study was deleted meanwhile.
        """
        time = now()
        row = SessionRow(session, study, 0, time, time)
        try:
            with self._sessions.begin() as db:
                db.add(_Session(**asdict(row)))
        except IntegrityError as error:
            msg = f"study {study} was deleted: upload it again"
            raise NotFoundError(msg) from error
        return row

    def session(self, session: str) -> SessionRow:
        """Raises NotFoundError: no such session."""
        with self._sessions() as db:
            found = db.get(_Session, session)
            if found is None:
                msg = f"there is no session {session[:80]!r}: GET /api/v1/sessions lists them"
                raise NotFoundError(msg)
            return _session_in(found)

    def sessions(self, study: str | None = None) -> list[SessionRow]:
        """All, or those of a study, the last changed first."""
        query = select(_Session).order_by(_Session.updated.desc())
        if study is not None:
            query = query.where(_Session.study == study)
        with self._sessions() as db:
            return [_session_in(s) for s in db.scalars(query)]

    def session_saved(self, session: str, revision: int) -> None:
        """Note the revision that is on disk."""
        with self._sessions.begin() as db:
            values = {"revision": revision, "updated": now()}
            db.execute(update(_Session).where(_Session.id == session).values(**values))

    def remove_session(self, session: str) -> None:
        """Forget a session and delete its file."""
        with self._sessions.begin() as db:
            db.execute(delete(_Session).where(_Session.id == session))
        self.session_file(session).unlink(missing_ok=True)


def durable_replace(partial: Path, path: Path) -> None:
    """Move a finished file to its place so that a power cut leaves the old one or the new one."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _engine(path: Path) -> Engine:
    path.touch(mode=0o600)
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON",
                       "busy_timeout=10000"):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")

    _Base.metadata.create_all(engine)
    return engine


def _study_out(row: StudyRow) -> dict[str, Any]:
    values = asdict(row)
    grid = {key: values.pop(key) for key in ("shape", "affine", "warnings")}
    return {**values, "grid": json.dumps(grid)}


def _study_in(found: _Study) -> StudyRow:
    grid = json.loads(found.grid)
    row = StudyRow(
        found.id, found.name, "folder" if found.source == "folder" else "upload", found.path,
        found.created, found.format,
    )  # fmt: skip
    shape: Sequence[int] | None = grid["shape"]
    return replace(
        row,
        shape=None if shape is None else (shape[0], shape[1], shape[2]),
        affine=grid["affine"],
        warnings=tuple(grid["warnings"]),
    )


def _session_in(found: _Session) -> SessionRow:
    return SessionRow(found.id, found.study, found.revision, found.created, found.updated)
