"""Forms: a multipart one is written to disk while it arrives, no file is ever whole in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from vista3d.errors import UsageError
from vista3d.server.errors import TooLargeError

MOST_TEXT = 2**20
"""Bytes of all fields that are not files."""

_TOO_MUCH_TEXT = f"the form has more than {MOST_TEXT} bytes of text: send files as files"


@dataclass(frozen=True)
class Received:
    """A file as it came: its field, the client's name for it, and where its bytes are."""

    field: str
    name: str
    path: Path


@dataclass
class Form:
    """What a form held."""

    files: list[Received] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


async def receive_form(
    chunks: AsyncIterator[bytes], content_type: str, folder: Path, most_files: int
) -> Form:
    """Write the files of a form into a private folder.

    Args:
        chunks: of the body; the caller bounds their sum.
        content_type: with the boundary.
        folder: where the files go, under numbers.
        most_files: that are taken.

    Raises:
        UsageError: not a multipart form, or a damaged one.
        TooLargeError: too many files, or fields of more than a MiB.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or b"boundary" not in options:
        msg = "send a multipart/form-data form, as curl -F does"
        raise UsageError(msg)
    receiver = _Receiver(folder, most_files)
    try:
        parser = MultipartParser(
            options[b"boundary"],
            callbacks={
                "on_part_begin": receiver.begin,
                "on_header_field": receiver.header_name,
                "on_header_value": receiver.header_value,
                "on_header_end": receiver.header_end,
                "on_headers_finished": receiver.headers_finished,
                "on_part_data": receiver.data,
                "on_part_end": receiver.end,
                "on_end": receiver.finish,
            },
        )
        async for chunk in chunks:
            parser.write(chunk)
        parser.finalize()
    except (FormParserError, MultipartParseError) as error:
        msg = f"the form is damaged ({error}): send it again"
        raise UsageError(msg) from error
    finally:
        receiver.close()
    if not receiver.complete:
        msg = "the form ends before its last boundary: send it again"
        raise UsageError(msg)
    return receiver.form


async def receive_fields(chunks: AsyncIterator[bytes]) -> dict[str, str]:
    """The fields of an urlencoded form.

    Raises:
        UsageError: not such a form.
        TooLargeError: more than a MiB.
    """
    text = bytearray()
    async for chunk in chunks:
        text += chunk
        if len(text) > MOST_TEXT:
            raise TooLargeError(_TOO_MUCH_TEXT)
    try:
        return dict(parse_qsl(text.decode(), keep_blank_values=True, strict_parsing=True))
    except ValueError as error:
        msg = "the body is no urlencoded form, though its content type says so: send FIELD=VALUE"
        raise UsageError(msg) from error


class _Receiver:
    """Where the parser's events go: one part is open at a time, as a file or as text."""

    def __init__(self, folder: Path, most_files: int) -> None:
        self.form, self.complete = Form(), False
        self._folder, self._most_files = folder, most_files
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._field = ""
        self._file: BinaryIO | None = None
        self._text = bytearray()
        self._text_seen = 0

    def begin(self) -> None:
        self._headers, self._text = {}, bytearray()

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            msg = "a part has no name"
            raise FormParserError(msg)
        self._field = options[b"name"].decode("utf-8", "replace")
        if b"filename" not in options:
            return
        if len(self.form.files) >= self._most_files:
            msg = f"the form has more than {self._most_files} files: zip them"
            raise TooLargeError(msg)
        path = self._folder / f"{len(self.form.files):06d}"
        name = options[b"filename"].decode("utf-8", "replace")
        self.form.files.append(Received(self._field, name, path))
        self._file = path.open("wb")

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            return
        self._text_seen += end - start
        if self._text_seen > MOST_TEXT:
            raise TooLargeError(_TOO_MUCH_TEXT)
        self._text += data[start:end]

    def end(self) -> None:
        if self._file is None:
            self.form.fields[self._field] = self._text.decode("utf-8", "replace")
        self.close()

    def finish(self) -> None:
        self.complete = True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
