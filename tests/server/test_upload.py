"""The streaming form parser, cut at every place."""

from __future__ import annotations

import asyncio

import pytest

from vista3d.errors import UsageError
from vista3d.server.errors import TooLargeError
from vista3d.server.upload import MOST_TEXT, receive_form

TYPE = "multipart/form-data; boundary=XX"


def part(name: str, data: bytes, filename: str | None = None) -> bytes:
    file = "" if filename is None else f'; filename="{filename}"'
    head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + data + b"\r\n"


END = b"--XX--\r\n"


def receive(tmp_path, body: bytes, step: int = 1000, kind: str = TYPE, most: int = 3):
    async def chunks():
        for start in range(0, len(body), step):
            yield body[start : start + step]

    return asyncio.run(receive_form(chunks(), kind, tmp_path, most))


@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
def test_files_and_fields_come_apart(tmp_path, step):
    one, two = bytes(range(256)), b"\r\n--X not the end"
    body = part("files", one, "a.dcm") + part("params", b"{}") + part("files", two, "b.dcm") + END
    form = receive(tmp_path, body, step)
    assert [(f.field, f.name) for f in form.files] == [("files", "a.dcm"), ("files", "b.dcm")]
    assert [f.path.read_bytes() for f in form.files] == [one, two]
    assert form.fields == {"params": "{}"}
    assert {f.path.parent for f in form.files} == {tmp_path}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (part("files", b"x", "a"), TYPE),
        (part("files", b"x", "a")[:-10], TYPE),
        (b"--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END, TYPE),
        (b"garbage", TYPE),
        (END, "application/json"),
        (END, "multipart/form-data"),
    ],
    ids=["no end", "cut", "no name", "garbage", "json", "no boundary"],
)
def test_damaged_forms_are_refused(tmp_path, body, kind):
    with pytest.raises(UsageError):
        receive(tmp_path, body, kind=kind)


def test_too_many_files(tmp_path):
    with pytest.raises(TooLargeError, match="3 files"):
        receive(tmp_path, part("files", b"x", "a") * 4 + END)


def test_text_is_bounded(tmp_path):
    half = bytes(MOST_TEXT // 2)
    with pytest.raises(TooLargeError, match="text"):
        receive(tmp_path, (part("a", half) * 2) + part("b", b"x") + END)


def test_a_hostile_file_name_is_only_a_name(tmp_path):
    form = receive(tmp_path, part("files", b"x", "../../../evil") + END)
    assert form.files[0].path.parent == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["000000"]
