"""The VISTA-3D NIM's REST interface, and the addresses that it may fetch (facts: ecosystem C2)."""

from __future__ import annotations

import http.server
import io
import threading
import zipfile
from contextlib import contextmanager

import nibabel as nib
import nrrd
import numpy as np
import pytest

from tests.server.conftest import nifti_bytes
from tests.server.wires.conftest import (
    CENTRE,
    LIVER,
    SCAN,
    SHAPE,
    SPLEEN,
    TOKEN,
    computed,
    upload,
    wired,
)
from vista3d.errors import ArchiveError, UsageError
from vista3d.server.errors import ForbiddenError, StartError, TooLargeError
from vista3d.server.wires import Options
from vista3d.server.wires.fetch import AllowedUrls


def infer(client, image: str, expect: int = 200, **body):
    """An inference; the status must be as expected."""
    answer = client.post("/v1/vista3d/inference", json={"image": image, **body})
    assert answer.status_code == expect, answer.text
    return answer


def member(answer) -> tuple[str, bytes]:
    """The one file of the answer's zip."""
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (name,) = archive.namelist()
        return name, archive.read(name)


def nrrd_voxels(data: bytes) -> np.ndarray:
    """[i, j, k]."""
    header = nrrd.read_header(file := io.BytesIO(data))
    return nrrd.read_data(header, file)


@pytest.mark.parametrize("prompts", [None, {}, {"classes": []}, {"classes": ["liver", SPLEEN]}])
def test_everything_or_classes(client, study, prompts):
    name, data = member(infer(client, study, prompts=prompts))
    assert name == f"{study}_seg.nrrd"
    values = nrrd_voxels(data)
    assert values.dtype == np.uint8
    assert values[4, 4, 4] == LIVER
    assert values[15, 5, 5] == SPLEEN


def test_one_class_on_its_study_s_grid_as_nifti(client, study, tmp_path):
    output = {"extension": ".nii.gz", "dtype": "int16", "compress": True}
    name, data = member(infer(client, study, prompts={"classes": ["liver"]}, output=output))
    (tmp_path / name).write_bytes(data)
    image = nib.load(tmp_path / name)
    assert image.get_data_dtype() == np.int16
    assert np.allclose(image.affine, SCAN.affine)
    assert set(np.unique(np.asarray(image.dataobj))) == {0, LIVER}


@pytest.mark.parametrize("key", ["spleen", "3", "Spleen"])
def test_points_of_a_class_with_background(client, study, key):
    points = {key: [list(CENTRE)], "background": [[14, 10, 8]]}
    answers = []
    calls = computed(lambda: answers.append(infer(client, study, prompts={"points": points})))
    assert calls == 2
    values = nrrd_voxels(member(answers[0])[1])
    assert set(np.unique(values)) == {0, SPLEEN}
    assert values[9, 10, 8] == SPLEEN
    assert values[14, 10, 8] == 0


def test_points_correct_the_class_that_was_found(client, study):
    prompts = {"classes": ["liver"], "points": {"liver": [[18, 10, 8]]}}
    values = nrrd_voxels(member(infer(client, study, prompts=prompts))[1])
    assert values[4, 4, 4] == LIVER
    assert values[18, 10, 8] == LIVER


def test_studies_are_known_by_name(make_service, scan_bytes):
    client = wired(make_service())
    upload(client, scan_bytes, "patient_7.nii.gz")
    infer(client, "patient_7", prompts={"classes": ["liver"]})
    infer(client, "patient_7.nii.gz", prompts={"classes": ["liver"]})
    upload(client, scan_bytes, "patient_7.nii.gz")
    answer = infer(client, "patient_7", expect=409)
    assert "by the id" in answer.json()["message"]


def test_the_api_s_description_has_all_wires(client, recwarn):
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert {"/infer/{model}", "/v1/vista3d/inference", "/claim", "/api/v1/studies"} <= set(paths)
    assert not [str(w.message) for w in recwarn if "Operation" in str(w.message)]


def test_health_licence_and_labels(make_service):
    client = wired(make_service(token=TOKEN))
    assert client.get("/v1/health/live").status_code == 200
    assert client.get("/v1/health/ready").status_code in (200, 503)
    assert client.get("/v1/license").status_code == 401
    infer(client, "x", expect=401)
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    assert "Apache-2.0" in client.get("/v1/license").json()["license"]
    assert client.get("/v1/vista3d/info").json()["labels"]["liver"] == LIVER


@pytest.mark.parametrize(
    "body",
    [
        {"image": ""}, {"image": 3}, {}, {"prompts": {"clases": []}},
        {"prompts": {"classes": ["livr"]}}, {"prompts": {"points": {"livr": [[1, 1, 1]]}}},
        {"prompts": {"points": {"lung": [[1, 1, 1]]}}},
        {"prompts": {"points": {"background": [[1, 1, 1]]}}},
        {"prompts": {"points": {"liver": [[1, 1]]}}},
        {"prompts": {"points": {"liver": [[99, 1, 1]]}}},
        {"prompts": {"points": {"liver": [[1, 1, 1]] * 201}}},
        {"output": {"extension": ".exe"}}, {"output": {"extension": "/../x.nrrd"}},
        {"output": {"dtype": "float32"}}, {"local_working_dir": "/tmp/x"},
    ],
)  # fmt: skip
def test_impossible_requests_are_refused_and_leave_nothing(client, study, service, body):
    before = len(service.storage.sessions())
    image = {} if body == {} else {"image": study}
    answer = client.post("/v1/vista3d/inference", json={**image, **body})
    assert answer.status_code == 422, answer.text
    assert len(service.storage.sessions()) == before


@pytest.mark.parametrize("image", ["/etc/passwd", "../x", "unknown", "C:\\scan.nii", "\x00"])
def test_paths_are_not_read(client, image, study):
    infer(client, image, expect=404)


# Addresses.


@contextmanager
def files(content: dict[str, bytes], redirect: str | None = None):
    """A web server on loopback with files; where it is, and what was asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if redirect is not None and self.path not in content:
                self.send_response(302)
                self.send_header("Location", redirect)
                self.end_headers()
                return
            found = content.get(self.path)
            self.send_response(200 if found is not None else 404)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def test_an_allowed_address_is_fetched_and_nothing_is_kept(make_service, scan_bytes):
    with files({"/scans/a.nii.gz": scan_bytes, "/b.nii.gz": scan_bytes}) as (url, asked):
        service = make_service()
        client = wired(service, Options(allow_urls=(f"{url}/scans",)))
        _, data = member(infer(client, f"{url}/scans/a.nii.gz", prompts={"classes": ["liver"]}))
        assert nrrd_voxels(data).shape == SHAPE
        assert service.studies.list() == []
        infer(client, f"{url}/b.nii.gz", expect=403)
        infer(client, f"{url}/scans/nothing.nii.gz", expect=502)
        assert asked == ["/scans/a.nii.gz", "/scans/nothing.nii.gz"]


def test_no_address_is_fetched_by_default(client, scan_bytes):
    with files({"/a.nii.gz": scan_bytes}) as (url, asked):
        answer = infer(client, f"{url}/a.nii.gz", expect=403)
        assert "--allow-url" in answer.json()["message"]
        assert asked == []


def test_redirects_are_not_followed(make_service):
    with files({"/secret": b"secret"}) as (inside, inside_asked):
        with files({}, redirect=f"{inside}/secret") as (url, _):
            client = wired(make_service(), Options(allow_urls=(url,)))
            infer(client, f"{url}/a.nii.gz", expect=403)
        assert inside_asked == []


def test_downloads_have_the_limits_of_uploads(make_service, tmp_path):
    bomb = nifti_bytes(np.zeros((4, 4, 4), np.int16))
    with files({"/large": bytes(5000), "/text": b"hello", "/small": bomb}) as (url, _):
        client = wired(make_service(upload_bytes=4000), Options(allow_urls=(url,)))
        infer(client, f"{url}/large", expect=413)
        infer(client, f"{url}/text", expect=415)
        allowed = AllowedUrls([url])
        with pytest.raises(TooLargeError):
            allowed.download(f"{url}/large", tmp_path / "x", 4999)
        allowed.download(f"{url}/large", tmp_path / "x", 5000)
        assert (tmp_path / "x").stat().st_size == 5000
        with pytest.raises(ArchiveError):
            allowed.download(f"{url}/nothing", tmp_path / "x", 5000)


@pytest.mark.parametrize(
    "url",
    [
        "https://pacs.example.org/export", "https://pacs.example.org/exports2/x",
        "https://pacs.example.org/exports/../secret", "https://pacs.example.org/exports/%2e%2e/x",
        "https://pacs.example.org:444/exports/x", "http://pacs.example.org/exports/x",
        "https://pacs.example.org.evil.org/exports/x", "https://pacs.example.org@evil.org/exports/x",
        "https://user@pacs.example.org/exports/x", "https://evil.org/https://pacs.example.org/exports/",
        "https://pacs.example.org\\@evil.org/exports/x", "file:///exports/x", "ftp://pacs.example.org/",
        "https://169.254.169.254/latest", "https://[::1]/exports/x", "https://[bad/exports/x",
        "https://pacs.example.org:x/exports/", "//pacs.example.org/exports/x", "https:///exports/x",
        "https://pacs.example.org/exports/ x", "https://pacs.example.org/exports/\tx",
        "https://pacs.example.org/exports/\r\nHost: x", "<URL:https://pacs.example.org/exports/x>",
        "https://pacs.ex\uff41mple.org/exports/x", "https://pacs.example.org/exports/%2e%2e",
    ],
)  # fmt: skip
def test_only_what_has_an_allowed_prefix_is_asked(url, tmp_path, monkeypatch):
    allowed = AllowedUrls(["https://pacs.example.org/exports"])
    monkeypatch.setattr(allowed, "_opener", None)  # anything that is asked would fail
    with pytest.raises((ForbiddenError, UsageError)):
        allowed.download(url, tmp_path / "x", 10)


@pytest.mark.parametrize("prefix", ["", "pacs.example.org", "file:///", "ftp://x/", "https://"])
def test_prefixes_are_whole_addresses(prefix):
    with pytest.raises(StartError, match="allow-url"):
        AllowedUrls([prefix])
