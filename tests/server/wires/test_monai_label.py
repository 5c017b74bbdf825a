"""MONAI Label's REST protocol, read as 3D Slicer's and OHIF's clients read it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
import socket
import time
import warnings
from types import SimpleNamespace

import nibabel as nib
import nrrd
import numpy as np
import pytest

from tests.dicom import write_series
from tests.server.conftest import body_array, nifti_bytes
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
from tests.server.wires.monai_clients import (
    Slicer,
    field_storage,
    ohif_nrrd,
    ohif_parse,
    slicer_segments,
)
from vista3d.server.errors import NotFoundError
from vista3d.server.wires.conversations import Conversations
from vista3d.server.wires.images import Images


@pytest.fixture
def slicer(address) -> Slicer:
    """3D Slicer's client."""
    return Slicer(address)


@pytest.fixture
def scan_file(tmp_path, scan_bytes):
    """The scan on the client's disk."""
    path = tmp_path / "CT with spaces.nii.gz"
    path.write_bytes(scan_bytes)
    return path


def voxels(data: bytes) -> np.ndarray:
    """[i, j, k] of an NRRD file in memory."""
    header = nrrd.read_header(file := io.BytesIO(data))
    return nrrd.read_data(header, file)


def ask(client, model: str, image: str, params: dict, expect: int = 200, **query):
    """An inference through the test client."""
    answer = client.post(
        f"/infer/{model}", params={"image": image, **query},
        files={"params": (None, json.dumps(params))},
    )  # fmt: skip
    assert answer.status_code == expect, answer.text
    return answer


def wanted(*ids: int) -> np.ndarray:
    """What the fake's automatic run finds."""
    out = np.zeros(SHAPE, np.uint8)
    out[3:12, 3:12, 3:12] = LIVER if LIVER in ids else 0
    out[14:20, 4:10, 4:10] = SPLEEN if SPLEEN in ids else 0
    return out


# 3D Slicer.


def test_info_has_a_model_for_each_panel(slicer, model):
    info = slicer.json("GET", "/info/")
    kinds = {name: one["type"] for name, one in info["models"].items()}
    assert kinds["vista3d"] == "vista3d"  # OHIF
    assert {"segmentation", "deepgrow"} <= set(kinds.values())  # Slicer
    labels = info["models"]["vista3d"]["labels"]
    assert labels["liver"] == LIVER
    assert labels["vertebrae l5"] == 33  # lower case, as OHIF's buttons have it
    assert len(labels) == len(model.meta.classes)
    assert "background" not in info["labels"]  # Slicer would count it when it names labels
    for key in ("trainers", "strategies", "scoring", "train_stats", "datastore"):
        assert key in info
    assert "config" not in info  # Slicer's mark of a server that is too old
    status, _, _ = slicer.request("GET", "/train/?check_if_running=true")
    assert status == 404  # nothing trains


def test_slicer_uploads_segments_and_submits(slicer, scan_file, client):
    """Auto segmentation: upload under the volume's name, infer by it, save the label."""
    name = scan_file.name.removesuffix(".nii.gz")
    status, _, body = slicer.form(
        "PUT", "/datastore/?image=CT+with+spaces", {}, {"file": scan_file}
    )
    assert (status, json.loads(body)) == (200, {"image": name})
    file_name, data, params = slicer.infer("vista3d_auto", name, {})
    assert re.fullmatch(r"[\w-]+\.nrrd", file_name)
    segments = slicer_segments(voxels(data), params["label_names"])
    assert set(segments) == {"liver", "spleen"}
    assert np.array_equal(segments["liver"], wanted(LIVER) > 0)
    assert np.array_equal(segments["spleen"], wanted(SPLEEN) > 0)
    assert params["label_names"] == {"liver": 1, "spleen": 2}  # consecutive

    label = scan_file.with_name("label.nrrd")
    label.write_bytes(data)
    info = [{"name": n, "idx": i} for n, i in params["label_names"].items()]
    status, _, body = slicer.form(
        "PUT", "/datastore/label?image=CT+with+spaces&tag=final", {"label_info": info},
        {"label": label},
    )  # fmt: skip
    assert status == 200, body
    study = json.loads(body)["label"]
    entry = slicer.json("GET", "/datastore/?output=all")["objects"][study]
    assert set(entry["labels"]) == {"final"}
    status, headers, body = slicer.request("GET", f"/datastore/label?label={study}&tag=final")
    assert status == 200
    (given,) = re.findall('filename="(.+)"', headers["content-disposition"])
    assert given.endswith(".nii.gz")
    kept = nib.Nifti1Image.from_bytes(gzip.decompress(body))
    assert np.array_equal(np.asarray(kept.dataobj), voxels(data))
    assert np.allclose(kept.affine, SCAN.affine)
    # The label is a session of the annotator, with classes and colours.
    session = entry["labels"]["final"]["info"]["session"]
    objects = client.get(f"/api/v1/sessions/{session}").json()["objects"]
    assert [(o["name"], o["class_id"]) for o in objects] == [("liver", 1), ("spleen", 3)]


def test_answers_are_read_by_the_parser_that_slicer_uses(client, study):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        cgi = pytest.importorskip("cgi")
    answer = ask(client, "vista3d_auto", study, {"label_prompt": [LIVER]})
    headers = {
        "content-type": answer.headers["content-type"],
        "content-length": answer.headers["content-length"],
    }
    storage = cgi.FieldStorage(
        fp=io.BytesIO(answer.content), environ={"REQUEST_METHOD": "POST"}, headers=headers,
        keep_blank_values=True,
    )  # fmt: skip
    files = {f.filename: f.value for f in storage.list if f.filename}
    form = {f.name: f.value for f in storage.list if not f.filename}
    ours, our_files = field_storage(answer.headers["content-type"], answer.content)
    assert (form, files) == (ours, our_files)
    (data,) = files.values()
    assert np.array_equal(voxels(data), wanted(LIVER))
    assert json.loads(form["params"])["label_names"] == {"liver": 1}


def test_slicer_clicks_in_a_session(slicer, scan_file):
    """SmartEdit: a session, asked for before every inference; all clicks are sent each time."""
    session = put_session(slicer, scan_file)
    first = {"label": "Segment_1", "foreground": [list(CENTRE)], "background": []}
    assert slicer.json("GET", f"/session/{session}")["name"] == session
    calls = computed(lambda: slicer.infer("vista3d_points", "any", first, session))
    assert calls == 1
    second = {**first, "background": [[14, 10, 8]]}
    result = []
    calls = computed(lambda: result.append(slicer.infer("vista3d_points", "any", second, session)))
    assert calls == 1  # the first click is not computed again
    values = voxels(result[0][1])
    assert values[CENTRE] == 0 or values[9, 10, 8] == 1
    assert values[14, 10, 8] == 0
    assert result[0][2]["label_names"] == {"segment_1": 1}
    # A click taken back: the rest is answered anew.
    assert voxels(slicer.infer("vista3d_points", "any", first, session)[1])[14, 10, 8] == 1
    nothing = {**first, "foreground": []}
    _, data, params = slicer.infer("vista3d_points", "any", nothing, session)
    assert not voxels(data).any()
    assert params["label_names"] == {}
    assert slicer.json("DELETE", f"/session/{session}") == {}
    status, _, _ = slicer.request("GET", f"/session/{session}")
    assert status == 404


def put_session(slicer: Slicer, file) -> str:
    """A session as `requests` sends it: the file in `files`, the client as a plain field."""
    import requests

    with file.open("rb") as data:
        answer = requests.put(
            slicer.url.geturl() + "/session/", files=[("files", (file.name, data))],
            data={"client_id": slicer.client_id}, timeout=60,
        )  # fmt: skip
    assert answer.status_code == 200, answer.text
    info = answer.json()["session_info"]
    assert info["expiry"] == 3600
    assert "/" not in info["path"] + info["image"]
    return answer.json()["session_id"]


def test_clients_do_not_meet_each_other_s_images(address, tmp_path, slicer):
    """Two people upload a volume of the same name (MONAILabel issue 1829)."""
    other = Slicer(address, client_id="somebody-else")
    for who, shift in ((slicer, 0), (other, 50)):
        path = tmp_path / f"{shift}.nii.gz"
        path.write_bytes(nifti_bytes(SCAN.array + np.int16(shift), SCAN.affine))
        status, _, body = who.form("PUT", "/datastore/?image=Twice", {}, {"file": path})
        assert status == 200, body
    mine = tmp_path / "label.bin"
    mine.write_bytes(wanted(LIVER).tobytes(order="F"))
    for who, shift in ((slicer, 0), (other, 50)):
        status, _, body = who.form("PUT", "/datastore/label?image=Twice", {}, {"label": mine})
        assert status == 200, body
        study = json.loads(body)["label"]
        _, _, body = who.request("GET", f"/datastore/image?image={study}")
        image = nib.Nifti1Image.from_bytes(gzip.decompress(body))
        assert np.array_equal(np.asarray(image.dataobj), SCAN.array + shift)
    params = {"label": "a", "foreground": [list(CENTRE)]}
    third = Slicer(address, client_id="third")
    status, _, body = third.form("POST", "/infer/vista3d_points?image=Twice", params, {})
    assert status == 409, body


def test_slicer_logs_in_with_the_token(make_service):
    client = wired(make_service(token=TOKEN))
    assert client.get("/auth/").json()["enabled"] is True
    assert client.get("/info/").status_code == 401
    assert client.get("/auth/token/valid").status_code == 401
    form = {"username": "anybody", "password": "guess", "grant_type": "password"}
    assert client.post("/auth/token", data=form).status_code == 401
    got = client.post("/auth/token", data={**form, "password": TOKEN}).json()
    client.headers["Authorization"] = f"{got['token_type']} {got['access_token']}"
    assert client.get("/auth/token/valid").status_code == 200
    assert client.get("/info/").status_code == 200
    assert wired(make_service(folder="open")).get("/auth/").json()["enabled"] is False


def test_a_client_with_a_token_repeats_the_headers_of_its_former_request(address, scan_bytes):
    """MONAI Label's own client, from its second request on."""
    slicer = Slicer(address)
    part = 'Content-Disposition: form-data; name="files"; filename="ct.nii.gz"\r\n\r\n'
    body = b"--own\r\n" + part.encode() + scan_bytes + b"\r\n--own--\r\n"
    for kind in ("multipart/form-data; boundary=former", "application/json"):
        status, _, answer = slicer.request("PUT", "/session/", body, {"content-type": kind})
        assert status == 200, answer
        key = json.loads(answer)["session_id"]
        for path in ("/info/", f"/session/{key}", "/datastore/?output=all", "/auth/token/valid"):
            status, _, _ = slicer.request("GET", path, None, {"content-length": str(2**24)})
            assert status == 200, path
        assert slicer.request("DELETE", f"/session/{key}")[0] == 200


def test_an_urlencoded_form_is_read_as_the_original_does(client, study):
    params = {"label": "thing", "foreground": [list(CENTRE)]}
    answer = client.post(
        f"/infer/vista3d_points?image={study}&output=json", data={"params": json.dumps(params)}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["label_names"] == {"thing": 1}


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_that_is_no_form_is_refused(client, study, kind):
    """It was passed over: whoever asked for one structure got all of them."""
    answer = client.post(
        f"/infer/vista3d?image={study}", content=b'{"label_prompt": [1]}',
        headers={"content-type": kind},
    )  # fmt: skip
    assert answer.status_code == 422, answer.text
    assert "form" in answer.json()["message"]


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_what_is_said_of_an_empty_body_does_not_matter(client, study, kind):
    answer = client.post(
        f"/infer/vista3d?image={study}&output=json", headers={"content-type": kind}
    )
    assert sorted(answer.json()["label_names"]) == ["liver", "spleen"]


# OHIF.

OHIF = {"result_extension": ".nrrd", "result_compress": False, "restore_label_idx": False}


def test_a_series_is_found_by_its_uid_as_it_is_now(make_service, tmp_path):
    import pydicom

    folder = tmp_path / "ct"
    images = Images(make_service(scans=lambda: [("ct", folder)]))

    def put() -> str:
        shutil.rmtree(folder, ignore_errors=True)
        write_series(folder, SCAN)
        return str(pydicom.dcmread(next(folder.iterdir())).SeriesInstanceUID)

    first = put()
    row = images.find(first)
    second = put()
    assert images.find(second) == row
    with pytest.raises(NotFoundError):
        images.find(first)


@pytest.fixture(scope="session")
def series(client, tmp_path_factory) -> str:
    """SeriesInstanceUID of the scan as a DICOM study."""
    import pydicom

    folder = write_series(tmp_path_factory.mktemp("dicom") / "series", SCAN)
    files = sorted(folder.iterdir())
    answer = client.post(
        "/api/v1/studies", files=[("files", (f.name, f.read_bytes())) for f in files]
    )
    assert answer.status_code == 201, answer.text
    return str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)


def test_ohif_class_prompts_keep_the_model_s_own_indices(client, series):
    params = {**OHIF, "result_dtype": "uint8", "label_prompt": [LIVER, SPLEEN]}
    answer = ask(client, "vista3d", series, params, output="image")
    header, flat = ohif_nrrd(answer.content, "u1")
    assert header["sizes"] == " ".join(map(str, SHAPE))
    assert np.array_equal(flat.reshape(SHAPE, order="F"), wanted(LIVER, SPLEEN))


def test_the_ohif_panel_that_searches_strings(client, series):
    params = {**OHIF, "result_dtype": "uint16", "label_prompt": [LIVER, SPLEEN]}
    answer = ask(client, "vista3d", series, params, output="all")
    parsed = ohif_parse(answer.headers["content-type"], answer.content)
    assert np.array_equal(parsed.voxels.reshape(SHAPE, order="F"), wanted(LIVER, SPLEEN))
    assert parsed.centroids == {LIVER: [7, 7, 7], SPLEEN: [16.5, 6.5, 6.5]}


def test_ohif_point_prompts(client, series):
    params = {
        **OHIF, "result_dtype": "uint8", "label_prompt": [SPLEEN],
        "points": [list(CENTRE), [14, 10, 8], [0, 0, 0]], "point_labels": [1, 0, -1],
    }  # fmt: skip
    calls = computed(lambda: ask(client, "vista3d", series, params, output="image"))
    assert calls == 2  # the last is padding
    _, flat = ohif_nrrd(ask(client, "vista3d", series, params, output="image").content, "u1")
    values = flat.reshape(SHAPE, order="F")
    assert set(np.unique(values)) == {0, SPLEEN}
    assert values[9, 10, 8] == SPLEEN
    assert values[14, 10, 8] == 0


def test_ohif_s_next_sample_opens_the_study_it_names(make_service, tmp_path):
    """Its panel always asks for "random", and builds an address of the StudyInstanceUID."""
    import pydicom

    client = wired(make_service())
    assert client.post("/activelearning/random", json={}).json() == {}
    files = sorted(write_series(tmp_path / "series", SCAN).iterdir())
    client.post("/api/v1/studies", files=[("files", (f.name, f.read_bytes())) for f in files])
    header = pydicom.dcmread(files[0], stop_before_pixels=True)
    sample = client.post("/activelearning/random", json={}).json()
    assert sample["StudyInstanceUID"] == header.StudyInstanceUID
    assert sample["SeriesInstanceUID"] == header.SeriesInstanceUID
    assert not set(sample) & {"PatientID", "PatientName"}
    assert client.post("/activelearning/epistemic", json={}).status_code == 404


def test_ohif_saves_bare_bytes(client, series, study):
    label = wanted(LIVER, SPLEEN)
    info = [{"name": "liver", "idx": LIVER}, {"name": "a thing", "idx": SPLEEN}]
    form = {
        "params": (None, json.dumps({"label_info": info})),
        "label": ("label.bin", label.tobytes(order="F")),
    }
    answer = client.put("/datastore/label", params={"image": series, "tag": "mine"}, files=form)
    assert answer.status_code == 200, answer.text
    study = answer.json()["label"]
    got = client.get("/datastore/label", params={"label": study, "tag": "mine"})
    kept = nib.Nifti1Image.from_bytes(gzip.decompress(got.content))
    assert np.array_equal(np.asarray(kept.dataobj), label)
    names = client.get("/datastore/label/info", params={"label": study, "tag": "mine"}).json()
    assert names == {"label_info": info}
    form["label"] = ("label.bin", label.tobytes()[:-1])
    answer = client.put("/datastore/label", params={"image": series}, files=form)
    assert answer.status_code == 422


# The datastore.


def test_saving_again_changes_the_same_session_and_deleting_takes_it_away(make_service, scan_bytes):
    client = wired(make_service())
    study = upload(client, scan_bytes, "a scan.nii.gz")
    sample = client.post("/activelearning/first", json={}).json()
    assert sample["id"] == study
    assert sample["name"] == f"a_scan-{study[:8]}.nii.gz"  # Slicer tells the type by the extension
    image = client.get("/datastore/image", params={"image": study}).content
    assert sample["checksum"] == f"SHA256:{hashlib.sha256(image).hexdigest()}"

    def save(label: np.ndarray) -> str:
        files = {"label": ("l.nii.gz", nifti_bytes(label.astype(np.uint8), SCAN.affine))}
        answer = client.put("/datastore/label", params={"image": study}, files=files)
        assert answer.status_code == 200, answer.text
        return answer.json()["session"]

    session = save(wanted(LIVER, SPLEEN))
    assert save(wanted(SPLEEN)) == session
    state = client.get(f"/api/v1/sessions/{session}").json()
    assert [o["name"] for o in state["objects"]] == ["label 3"]
    stats = client.get("/datastore/").json()
    assert stats == {"total": 1, "completed": 1, "label_tags": {"final": 1}}
    assert client.get("/info/").json()["datastore"] == stats
    assert client.post("/activelearning/first", json={}).json() == {}
    assert client.head("/datastore/label", params={"image": study}).status_code == 200

    again = wired(client.app.state.service)  # labels are found again after a restart
    assert again.get("/datastore/").json() == stats
    assert again.delete("/datastore/label", params={"id": study}).status_code == 200
    assert again.get("/datastore/").json()["completed"] == 0
    assert again.get(f"/api/v1/sessions/{session}").status_code == 404
    assert again.head("/datastore/label", params={"image": study}).status_code == 404
    assert again.delete("/datastore/image", params={"id": study}).status_code == 200
    assert again.get("/datastore/").json()["total"] == 0


def test_a_label_whose_session_was_deleted_in_the_annotator_is_gone(client, scan_bytes):
    study = upload(client, scan_bytes)
    files = {"label": ("l.nii.gz", nifti_bytes(wanted(LIVER), SCAN.affine))}
    saved = client.put("/datastore/label", params={"image": study}, files=files).json()
    client.delete(f"/api/v1/sessions/{saved['session']}")
    assert client.get("/datastore/label", params={"label": study}).status_code == 404


def test_images_come_back_as_they_were(client, study):
    answer = client.get("/datastore/image", params={"image": study})
    image = nib.Nifti1Image.from_bytes(gzip.decompress(answer.content))
    assert np.array_equal(np.asarray(image.dataobj), SCAN.array)
    assert client.head("/datastore/image", params={"image": study}).status_code == 200
    sums = {"image": study, "check_sum": "SHA256:00"}
    assert client.head("/datastore/image", params=sums).status_code == 404
    assert client.get("/datastore/image/info", params={"image": study}).json()["name"] == "ct"
    assert client.get("/datastore/", params={"output": "train"}).status_code == 200


def test_an_image_that_comes_with_the_request_goes_with_it(client, scan_bytes, service):
    before = {row.id for row in service.studies.list()}
    for params in ({"label_prompt": [LIVER]}, {"foreground": [list(CENTRE)]}):
        answer = client.post(
            "/infer/vista3d", params={"output": "image"},
            files={"params": (None, json.dumps(params)), "file": ("ct.nii.gz", scan_bytes)},
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        assert voxels(answer.content)[4, 4, 4] == ("label_prompt" in params)
    assert {row.id for row in service.studies.list()} == before


def test_automatic_runs_leave_no_session(client, study, service):
    before = {row.id for row in service.storage.sessions(study)}
    ask(client, "vista3d_auto", study, {"label_prompt": ["liver"]})
    ask(client, "vista3d_auto", study, {"label_prompt": ["livr"]}, expect=422)
    assert {row.id for row in service.storage.sessions(study)} == before


def test_old_conversations_make_room_for_new_ones(make_service, scan_bytes):
    service = make_service()
    client = wired(service)
    one, two = upload(client, scan_bytes), upload(client, scan_bytes)
    conversations = Conversations(service, limit=1, seconds=1000)
    with conversations.session("a", one) as first:
        conversations.close()  # in use: it stays
        assert [row.id for row in service.storage.sessions()] == [first]
    with conversations.session("a", one) as again:
        assert again == first
    with conversations.session("a", two) as second, conversations.session("b", two) as third:
        assert len({first, second, third}) == 3
        assert {row.id for row in service.storage.sessions()} == {second, third}
    conversations.end(two)
    assert service.storage.sessions() == []


def test_a_failed_inference_leaves_no_image(client, scan_bytes, service):
    before = {row.id for row in service.studies.list()}
    params = {"foreground": [[999, 1, 1]]}
    answer = client.post(
        "/infer/vista3d",
        files={"params": (None, json.dumps(params)), "file": ("ct.nii.gz", scan_bytes)},
    )
    assert answer.status_code == 422
    assert {row.id for row in service.studies.list()} == before


def test_sessions_of_clicks_end_with_the_server(make_service, scan_bytes):
    service = make_service()
    with wired(service) as client:
        study = upload(client, scan_bytes)
        ask(client, "vista3d", study, {"foreground": [list(CENTRE)]})
        assert len(service.storage.sessions(study)) == 1
        (row,) = service.storage.sessions(study)
        client.delete(f"/api/v1/sessions/{row.id}")  # somebody tidies up in the annotator
        answer = ask(client, "vista3d", study, {"foreground": [list(CENTRE)]}, output="image")
        assert voxels(answer.content)[CENTRE] == 1
        storage = service.storage
    # Closed: the storage's files remain readable.
    assert not list((storage.root / "sessions").glob("*.vista3d"))


# What is refused.


def test_params_choose_neither_image_nor_model_nor_device(client, study, tmp_path):
    secret = tmp_path / "secret.nii.gz"
    secret.write_bytes(nifti_bytes(body_array()))
    params = {
        "image": str(secret), "model": "/etc/passwd", "device": "cuda:7", "label_prompt": [LIVER],
    }  # fmt: skip
    answer = ask(client, "vista3d", study, params, output="image")
    assert np.array_equal(voxels(answer.content), wanted(LIVER))


@pytest.mark.parametrize(
    "image",
    ["/etc/passwd", "../../index.sqlite", "..", ".", "", "%2e%2e", "C:\\x", "http://127.0.0.1/x",
     "file:///etc/passwd", "\x00", "1.2.3.4", "a" * 3000, "<script>", "unknown"],
)  # fmt: skip
def test_no_path_and_no_address_is_read_through_image(client, study, image, tmp_path):
    for path in ("/infer/vista3d", "/datastore/image", "/datastore/label"):
        word = {"image": image, "label": image}
        send = client.post if path.startswith("/infer") else client.get
        answer = send(path, params=word)
        assert answer.status_code in (404, 409, 422), (path, answer.text)
        assert "root:" not in answer.text


def test_a_file_of_the_server_is_not_read_even_where_it_is_a_scan(client, study, tmp_path):
    path = tmp_path / "secret.nii.gz"
    path.write_bytes(nifti_bytes(body_array()))
    ask(client, "vista3d", str(path), {}, expect=404)


@pytest.mark.parametrize("key", ["%2e%2e", "%2e%2e%2fx", "a" * 65, "ünknown", "unknown"])
def test_foreign_sessions_are_not_found(client, key):
    for send in (client.get, client.delete):
        assert send(f"/session/{key}").status_code in (404, 405)
    assert client.post("/infer/vista3d", params={"session_id": key}).status_code == 404


def test_somebody_s_study_is_not_deleted_as_a_session(client, scan_bytes):
    study = upload(client, scan_bytes)
    assert client.delete(f"/session/{study}").status_code == 404
    assert client.get(f"/api/v1/studies/{study}").status_code == 200


@pytest.mark.parametrize(
    "params",
    [
        "nothing", "[]", "3", "[" * 5000, '{"points": [[1, 2]]}', '{"points": [[1, 2, null]]}',
        '{"points": [[1, 2, 3]], "point_labels": [1, 1]}', '{"foreground": [[99, 1, 1]]}',
        '{"foreground": [[1e999, 1, 1]]}', '{"points": [[1,2,3]], "label_prompt": [1, 3]}',
        '{"result_extension": "/../x"}', '{"result_extension": ".py"}',
        '{"result_dtype": "float64"}', '{"label_prompt": "liver"}', '{"label_prompt": [9999]}',
        json.dumps({"points": [[1, 1, 1]] * 201}),
    ],
)  # fmt: skip
def test_impossible_params_are_refused(client, study, params):
    answer = client.post(
        "/infer/vista3d", params={"image": study}, files={"params": (None, params)}
    )
    assert answer.status_code == 422, answer.text


def test_unknown_models_outputs_and_scribbles_are_refused(client, study, scan_bytes):
    ask(client, "segmentation_spleen", study, {}, expect=404)
    ask(client, "%2e%2e", study, {}, expect=404)
    ask(client, "vista3d", study, {}, expect=422, output="dicom_seg")
    answer = client.post(
        "/infer/vista3d", params={"image": study}, files={"label": ("label.bin", b"0")}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("name", "make", "status"),
    [
        ("x.nii.gz", lambda: nifti_bytes(np.zeros((5, 5, 5), np.uint8), SCAN.affine), 422),
        ("x.nii.gz", lambda: nifti_bytes(np.zeros(SHAPE, np.uint8), np.eye(4)), 422),
        ("x.nii.gz", lambda: nifti_bytes(np.full(SHAPE, 0.5, np.float32), SCAN.affine), 422),
        ("x.nii.gz", lambda: nifti_bytes(np.full(SHAPE, np.nan, np.float32), SCAN.affine), 422),
        ("x.nii.gz", lambda: nifti_bytes(np.full(SHAPE, -1, np.int16), SCAN.affine), 422),
        ("x.nii.gz", lambda: nifti_bytes(np.full(SHAPE, np.inf, np.float32), SCAN.affine), 422),
        ("x.txt", lambda: b"hello", 415),
        ("x.bin", lambda: b"", 422),
        ("x.nrrd", lambda: b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 24 20 16\n"
                           b"encoding: raw\ndata file: /etc/passwd\n\n", 415),
    ],
)  # fmt: skip
def test_impossible_labels_are_refused(client, study, name, make, status):
    answer = client.put(
        "/datastore/label", params={"image": study, "tag": "bad"}, files={"label": (name, make())}
    )
    assert answer.status_code == status, answer.text
    assert client.head("/datastore/label", params={"image": study, "tag": "bad"}).status_code == 404


@pytest.mark.parametrize(
    "params",
    ['{"label_info": 3}', '{"label_info": [{"idx": 1}]}', '{"label_info": [{"idx": 1e999, '
     '"name": "x"}]}', '{"label_info": ["x"]}', "[]", "nothing"],
)  # fmt: skip
def test_impossible_label_infos_are_refused(client, study, params):
    files = {"params": (None, params), "label": ("l.bin", bytes(SCAN.array.size))}
    assert client.put("/datastore/label", params={"image": study}, files=files).status_code == 422


def test_uploads_have_the_server_s_limits(make_service, scan_bytes):
    client = wired(make_service(upload_bytes=2000))
    for method, path, field in (
        ("PUT", "/session/", "files"), ("PUT", "/datastore/?image=a", "file"),
        ("PUT", "/datastore/label?image=a", "label"), ("POST", "/infer/vista3d", "file"),
    ):  # fmt: skip
        answer = client.request(method, path, files={field: ("ct.nii.gz", scan_bytes)})
        assert answer.status_code == 413, (path, answer.text)
    assert not list((client.app.state.service.storage.root / "studies").iterdir())


def test_a_run_ends_when_its_client_hangs_up(slicer, study, service):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="params"\r\n\r\n{"label_prompt": ["heart"]}'
        b"\r\n--x--\r\n"
    )
    head = (
        f"POST /infer/vista3d?image={study} HTTP/1.1\r\nHost: {slicer.url.netloc}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    before = service.storage.sessions(study)
    with socket.create_connection((slicer.url.hostname, slicer.url.port)) as connection:
        connection.sendall(head.encode() + body)
        wait_until(lambda: service.jobs.running)
        (job,) = service.jobs.running
    assert job.finished.wait(30)
    assert job.view.state == "cancelled"
    wait_until(lambda: service.storage.sessions(study) == before)


def wait_until(condition) -> None:
    """Look until it holds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_person_s_number_is_no_class(client, study):
    params = {**OHIF, "label": "3", "foreground": [list(CENTRE)], "result_dtype": "uint8"}
    _, flat = ohif_nrrd(ask(client, "vista3d", study, params, output="image").content, "u1")
    assert set(np.unique(flat)) == {0, 1}


def test_images_sent_for_a_while_expire_unless_somebody_works_on_them(
    make_service, scan_bytes, monkeypatch
):
    from vista3d.server.wires.monai_label import image_sessions

    now = [1000.0]
    monkeypatch.setattr(image_sessions, "time", SimpleNamespace(time=lambda: now[0]))
    client = wired(make_service())

    def put(**query) -> str:
        answer = client.put("/session/", params=query, files={"files": ("ct.nii.gz", scan_bytes)})
        return answer.json()["session_id"]

    short, used, worked, long = (put(expiry=n) for n in (60, 60, 60, 10**9))
    client.post("/api/v1/sessions", json={"study": worked})
    now[0] += 50
    assert ask(client, "vista3d", "", {"label_prompt": ["liver"]}, session_id=used)
    now[0] += 50
    put()
    there = {s["id"] for s in client.get("/api/v1/studies").json()}
    assert short not in there
    assert {used, worked, long} <= there
    assert client.get(f"/session/{long}").json()["expiry"] == 24 * 3600


def test_images_sent_for_a_while_expire_in_the_next_run_too(make_service, scan_bytes, monkeypatch):
    from vista3d.server.wires.monai_label import image_sessions

    now = [1000.0]
    monkeypatch.setattr(image_sessions, "time", SimpleNamespace(time=lambda: now[0]))
    first = make_service()
    client = wired(first)

    def put() -> str:
        files = {"files": ("ct.nii.gz", scan_bytes)}
        return client.put("/session/", params={"expiry": 60}, files=files).json()["session_id"]

    idle, deleted = put(), put()
    first.close()
    now[0] += 1000
    second = make_service()
    client = wired(second)
    assert client.get(f"/session/{idle}").json()["expiry"] == 60
    assert client.delete(f"/session/{deleted}").status_code == 200
    now[0] += 100
    for chore in second.chores:  # nobody asks anything
        chore()
    assert client.get("/api/v1/studies").json() == []


def test_two_people_click_on_one_scan_at_once(client, study):
    from concurrent.futures import ThreadPoolExecutor

    def work(number: int) -> np.ndarray:
        params = {"client_id": "shared", "label": "x", "foreground": [[4 + number, 10, 8]]}
        return voxels(ask(client, "vista3d", study, params, output="image").content)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(work, range(8)))
    for number, values in enumerate(results):
        found = np.argwhere(values)
        assert abs(found[:, 0].mean() - (4 + number)) < 1  # nobody has another's answer


def test_the_shipped_model_from_end_to_end(real_client):
    study = upload(real_client, nifti_bytes(body_array()))
    params = {"foreground": [[24, 22, 16]], "label": "liver"}
    values = voxels(ask(real_client, "vista3d_points", study, params, output="image").content)
    assert values[24, 22, 16] == 1
    ball = body_array() == 110
    assert values[ball].mean() > 0.5
    assert ball[values == 1].mean() > 0.5  # the ball, not the fat around it
