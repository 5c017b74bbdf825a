"""`vista3d sample` against a server on loopback: whole, broken, resumed, wrong, absent."""

from __future__ import annotations

import gzip
import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import vista3d.sample as module
from vista3d.cli.sample import sample as command
from vista3d.errors import InputError, UsageError
from vista3d.sample import SAMPLES, Sample, fetch, find_sample

app = typer.Typer()
app.command()(command)


@dataclass
class Server:
    """What the server holds and how it misbehaves."""

    url: str = ""
    content: bytes = b""
    cut: int = 0
    """Close the connection after so many bytes; 0 sends all."""
    ranges: bool = True
    status: int = 200
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            state.requests.append(asked)
            if state.status >= 400:
                self.send_error(state.status)
                return
            start = int(asked[6:-1]) if asked and state.ranges else 0
            if start and start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut] if state.cut else body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_address[1]}/scan.bin"
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def pinned(server: Server, content: bytes = b"scan" * 5000) -> Sample:
    server.content = content
    return Sample(
        "test", "scan.bin", server.url, hashlib.sha256(content).hexdigest(), "CC0", "a test"
    )


def test_fetches_checks_and_reports_progress(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(pinned(server), tmp_path / "new", lambda here, total: seen.append((here, total)))
    assert path.read_bytes() == server.content
    assert seen[-1] == (20000, 20000)
    assert [p.name for p in path.parent.iterdir()] == ["scan.bin"]


def test_a_file_that_is_there_needs_no_network(server: Server, tmp_path: Path) -> None:
    sample = pinned(server)
    fetch(sample, tmp_path)
    server.status = 500
    assert fetch(sample, tmp_path).read_bytes() == server.content
    assert len(server.requests) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_resumes_after_a_broken_connection(server: Server, tmp_path: Path, ranges: bool) -> None:
    sample = pinned(server)
    server.cut = 7000
    with pytest.raises(InputError, match=r"7000 of 20000 bytes.*Run again to resume"):
        fetch(sample, tmp_path)
    assert not (tmp_path / "scan.bin").exists()
    server.cut, server.ranges = 0, ranges
    assert fetch(sample, tmp_path).read_bytes() == server.content
    assert server.requests == ["", "bytes=7000-"]


def test_a_part_longer_than_the_file_starts_over(server: Server, tmp_path: Path) -> None:
    sample = pinned(server)
    (tmp_path / ".scan.bin.part").write_bytes(b"x" * 30000)
    assert fetch(sample, tmp_path).read_bytes() == server.content
    assert server.requests == ["bytes=30000-", ""]


def test_wrong_checksum_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    sample = pinned(server)
    server.content = b"evil" * 5000
    with pytest.raises(InputError, match=r"wrong checksum: sha256 [0-9a-f]{64}, expected"):
        fetch(sample, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_file_is_named_not_overwritten(server: Server, tmp_path: Path) -> None:
    sample = pinned(server)
    (tmp_path / "scan.bin").write_bytes(b"mine")
    with pytest.raises(InputError, match="remove or rename"):
        fetch(sample, tmp_path)
    assert (tmp_path / "scan.bin").read_bytes() == b"mine"
    assert server.requests == []


def test_server_error_is_told(server: Server, tmp_path: Path) -> None:
    sample = pinned(server)
    server.status = 404
    with pytest.raises(InputError, match="HTTP 404"):
        fetch(sample, tmp_path)


def test_no_network_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/scan.bin"
    with pytest.raises(InputError) as caught:
        fetch(Sample("test", "scan.bin", url, "0" * 64, "CC0", "a test"), tmp_path)
    for words in (url, "HTTPS_PROXY", "vista3d phantom", str(tmp_path / "scan.bin")):
        assert words in str(caught.value)
    assert caught.value.exit_code == 4


def test_without_a_stated_checksum_the_file_must_be_a_ct(server: Server, tmp_path: Path) -> None:
    sample = Sample("test", "scan.nii.gz", server.url, "", "CC0", "a test")
    server.content = gzip.compress(b"<html>sign in</html>")
    with pytest.raises(InputError):
        fetch(sample, tmp_path)
    assert list(tmp_path.iterdir()) == []
    ct = np.random.default_rng(0).integers(-1000, 500, (12, 12, 12)).astype(np.int16)
    source = tmp_path / "source.nii.gz"
    nibabel.save(nibabel.Nifti1Image(ct, np.eye(4)), source)
    server.content = source.read_bytes()
    path = fetch(sample, tmp_path / "out")
    assert path.read_bytes() == server.content
    assert len(list(path.parent.iterdir())) == 1


def test_registry_is_sound() -> None:
    for name, entry in SAMPLES.items():
        assert name == entry.name
        assert entry.url.startswith("https://")
        assert entry.licence
        if entry.sha256:
            assert len(entry.sha256) == 64
            assert entry.url.endswith(entry.sha256)
        else:
            # Without a checksum the URL must name an immutable version.
            assert any(len(part) == 40 for part in entry.url.split("/"))
    assert SAMPLES[module.DEFAULT].sha256


def test_command_lists_and_fetches(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAMPLES", {"test": pinned(server)})
    monkeypatch.setattr(module, "DEFAULT", "test")
    listed = CliRunner().invoke(app, ["--list"])
    assert "CC0" in listed.output
    assert not server.requests
    result = CliRunner().invoke(app, ["-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "scan.bin") in result.output
    assert "CC0" in result.output


def test_command_refuses_unknown_names_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ct_chest"):
        find_sample("nothing")
    result = CliRunner().invoke(app, [])
    assert isinstance(result.exception, UsageError)
