"""A real archive: a series comes, is segmented, the result goes back and is found again."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.cli.conftest import Outcome
from tests.dicom import grid, write_series
from tests.dicomweb.conftest import PASSWORD, USER
from vista3d.dicomweb import Archive
from vista3d.errors import ArchiveError, InputError, UsageError
from vista3d.volume import Volume, read


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Type a command; gives what a shell sees."""

    def call(*arguments: object) -> Outcome:
        from vista3d.cli.main import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """A tilted series with what the stand-in for the network calls liver and right kidney."""
    values = np.full((24, 20, 16), -1000, np.int16)
    values[2:-2, 2:-2] = -100
    values[4:12, 4:16, 0:10] = 100
    values[14:20, 8:14, 4:12] = 200
    return write_series(tmp_path / "original", Volume(values, grid("tilted")))


def uid_of(folder: Path) -> str:
    return str(pydicom.dcmread(next(folder.iterdir())).SeriesInstanceUID)


@pytest.mark.usefixtures("credentials", "model")
def test_pull_segment_push_and_find_again(orthanc: str, cli, ct: Path, tmp_path: Path):
    uid = uid_of(ct)
    outcome = cli("pacs", "push", orthanc, ct)
    assert outcome.code == 0, outcome.text
    assert "16 objects stored" in outcome.out

    found = json.loads(cli("pacs", "find", orthanc, "--series", uid, "--json").out)
    assert [(one["series"], one["modality"], one["images"]) for one in found] == [(uid, "CT", 16)]

    outcome = cli("pacs", "pull", orthanc, "--series", uid, "-o", tmp_path / "ct")
    assert outcome.code == 0, outcome.text
    before, after = read(ct), read(tmp_path / "ct")
    np.testing.assert_array_equal(after.array, before.array)
    np.testing.assert_array_equal(after.affine, before.affine)

    formats = ("-f", "dicom-seg", "-f", "rtstruct")
    outcome = cli("segment", tmp_path / "ct", "-o", tmp_path / "out", *formats)
    assert outcome.code == 0, outcome.text
    results = [tmp_path / "out" / name for name in ("ct_seg.dcm", "ct_rtstruct.dcm")]
    assert cli("pacs", "push", orthanc, *results).code == 0

    found = json.loads(cli("pacs", "find", orthanc, "--results-of", uid, "--json").out)
    assert {one["modality"]: one["series"] for one in found} == {
        "SEG": str(pydicom.dcmread(results[0]).SeriesInstanceUID),
        "RTSTRUCT": str(pydicom.dcmread(results[1]).SeriesInstanceUID),
    }
    segmentation = next(one["series"] for one in found if one["modality"] == "SEG")
    cli("pacs", "pull", orthanc, "--series", segmentation, "-o", tmp_path / "back")
    (back,) = (tmp_path / "back").iterdir()
    again, first = pydicom.dcmread(back), pydicom.dcmread(results[0])
    np.testing.assert_array_equal(again.pixel_array, first.pixel_array)
    assert [s.SegmentLabel for s in again.SegmentSequence] == ["liver", "right kidney"]


@pytest.mark.usefixtures("credentials")
def test_a_compressed_series_comes_as_it_is_stored(orthanc: str, corpus: Path, tmp_path: Path):
    study, series = generate_uid(), generate_uid()
    for file in sorted((corpus / "dicom" / "totalseg_slab").iterdir())[:3]:
        image = pydicom.dcmread(file)
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID
        image.PatientID = "P2"
        (tmp_path / "ct").mkdir(exist_ok=True)
        image.save_as(tmp_path / "ct" / file.name)
    archive = Archive(orthanc)
    assert archive.push((tmp_path / "ct").iterdir()) == 3
    assert [one.series for one in archive.find(PatientID="P2")] == [series]
    (first, *_) = archive.pull(series, tmp_path / "back")
    assert pydicom.dcmread(first).file_meta.TransferSyntaxUID.name.startswith("JPEG 2000")
    np.testing.assert_array_equal(read(tmp_path / "back").array, read(tmp_path / "ct").array)


@pytest.mark.usefixtures("credentials")
def test_the_table_names_no_patient(orthanc: str, cli, ct: Path):
    cli("pacs", "push", orthanc, ct)
    outcome = cli("pacs", "find", orthanc, "--modality", "CT")
    assert uid_of(ct) in outcome.out
    assert "Phantom" not in outcome.out


@pytest.mark.usefixtures("credentials")
def test_what_is_not_there(orthanc: str, cli, tmp_path: Path):
    outcome = cli("pacs", "pull", orthanc, "--series", "1.2.3.4", "-o", tmp_path / "ct")
    assert outcome.code == 7
    assert "has no series 1.2.3.4" in outcome.text
    assert not (tmp_path / "ct").exists()
    outcome = cli("pacs", "pull", orthanc, "--series", "../1", "-o", tmp_path / "ct")
    assert outcome.code == 2
    outcome = cli("pacs", "find", orthanc.replace("dicom-web", "elsewhere"))
    assert outcome.code == 7
    assert "HTTP status 404: is the address the root" in outcome.text


def test_credentials(orthanc: str, cli, monkeypatch, caplog, tmp_path: Path):
    outcome = cli("pacs", "find", orthanc)
    assert outcome.code == 7
    assert "401: set VISTA3D_PACS_TOKEN" in outcome.text
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    netrc.chmod(0o600)
    with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG):
        patch.setenv("NETRC", str(netrc))
        assert cli("-vv", "pacs", "find", orthanc, "--patient", "P77").code == 0
    assert PASSWORD not in caplog.text
    assert "P77" not in caplog.text
    outcome = cli("pacs", "find", orthanc.replace("//", f"//{USER}:{PASSWORD}@"))
    assert outcome.code == 2
    assert "the address holds a user or password" in outcome.text
    assert PASSWORD not in outcome.text


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/x", "no address of a DICOMweb service"),
        ("file:///etc/passwd", "no address of a DICOMweb service"),
        ("host/dicom-web", "no address of a DICOMweb service"),
        ("http://host/dicom-web?x=1", "has a query or fragment"),
    ],
)
def test_addresses_that_are_refused(url: str, message: str):
    with pytest.raises(UsageError, match=message):
        Archive(url)


def test_only_dicom_is_sent(tmp_path: Path):
    (tmp_path / "a.nii").write_bytes(b"x" * 400)
    with pytest.raises(InputError, match=r"'a\.nii' is no DICOM file"):
        Archive("http://127.0.0.1:9/dicom-web").push([tmp_path / "a.nii"])


def test_nobody_there():
    with pytest.raises(ArchiveError, match="cannot be reached"):
        Archive("http://127.0.0.1:9/dicom-web").find()


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[str], dict[str, object]]]:
    """A server that answers as told; its address, the paths asked for, and what it answers."""
    asked: list[str] = []
    answer: dict[str, object] = {"status": 200, "headers": {}, "body": b""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(answer["status"])
            for key, value in answer["headers"].items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked, answer
    server.shutdown()
    server.server_close()


def test_redirects_are_not_followed(stranger):
    url, asked, answer = stranger
    answer.update(status=302, headers={"Location": f"{url}/secret"})
    with pytest.raises(ArchiveError, match="redirects elsewhere"):
        Archive(url).find()
    assert not any("secret" in path for path in asked)


def test_an_answer_that_is_not_dicomweb(stranger):
    url, _, answer = stranger
    answer.update(headers={"Content-Type": "text/html"}, body=b"<html>hello</html>")
    with pytest.raises(ArchiveError, match="not DICOMweb"):
        Archive(url).find()


def test_addresses_in_answers_are_not_called(stranger):
    url, asked, answer = stranger
    body = [
        {
            "0020000E": {"vr": "UI", "Value": ["1.2.3"]},
            "0008103E": {"vr": "LO", "Value": ["\x1b[31mred [bold]"]},
            "7FE00010": {"vr": "OW", "BulkDataURI": f"{url}/bulk"},
        }
    ]
    answer.update(
        headers={"Content-Type": "application/dicom+json"}, body=json.dumps(body).encode()
    )
    (found,) = Archive(url).find()
    assert found.series == "1.2.3"
    assert found.description == "[31mred [bold]"
    assert len(asked) == 1
