"""The workflow of the page: upload, session, clicks, brush, history, exports."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import pydicom
import pytest
import trimesh
from fastapi.testclient import TestClient

from tests.cli.fake import series
from tests.server.conftest import (
    AFFINE,
    begin,
    body_array,
    brush,
    click,
    client_of,
    labels,
    nifti_bytes,
    paint_cube,
    read_nifti_bytes,
    upload,
)
from vista3d import anatomy
from vista3d.results.label_map import write_label_map
from vista3d.results.seg_nrrd import write_seg_nrrd
from vista3d.server.app import create_app
from vista3d.volume import Volume

SHAPE = (48, 44, 32)
CENTRE = (24, 22, 16)


def test_info_names_the_model_and_its_licence(client, model):
    info = client.get("/api/v1/info").json()
    assert info["model"]["name"] == "mini"
    assert info["model"]["licence"] == model.meta.licence
    assert "not a medical device" in info["research_notice"]
    assert info["token_required"] is False
    assert all(isinstance(n, int) for name, n in info["limits"].items() if name != "idle_seconds")
    learned = [c["id"] for c in client.get("/api/v1/classes").json() if c["trained"]]
    assert learned == sorted(model.meta.classes)


def test_study_keeps_the_geometry(study):
    assert study["shape"] == list(SHAPE)
    assert study["affine"] == AFFINE.tolist()
    assert study["spacing"] == [3, 3, 4]
    assert study["name"] == "ct"
    assert study["source"] == "upload"


def test_image_for_the_viewer_is_the_scan(client, study):
    answer = client.get(f"/api/v1/studies/{study['id']}/image")
    image = read_nifti_bytes(answer.content)
    assert image.get_data_dtype() == np.int16
    np.testing.assert_array_equal(np.asarray(image.dataobj), body_array())
    np.testing.assert_array_equal(image.affine, AFFINE)


def test_float_scans_are_rounded_and_clipped_for_the_viewer(client):
    array = body_array().astype(np.float32) + 0.4
    array[0, 0, 0] = 1e6
    study = upload(client, nifti_bytes(array))
    image = read_nifti_bytes(client.get(f"/api/v1/studies/{study['id']}/image").content)
    values = np.asarray(image.dataobj)
    assert values[0, 0, 0] == 32767
    assert values[CENTRE] == 110


def test_clicks_do_what_the_library_does(client, session, model):
    click(client, session, CENTRE)
    state = click(client, session, (24, 30, 16), positive=False)["state"]
    mine = model.session(Volume.from_array(body_array(), AFFINE))
    mine.click(CENTRE, space="voxel")
    mine.click((24, 30, 16), False, space="voxel")
    np.testing.assert_array_equal(labels(client, session, SHAPE), mine.result()[0])
    (thing,) = state["objects"]
    assert thing["voxels"] == mine.mask(1).sum() > 0
    assert thing["volume_ml"] == pytest.approx(thing["voxels"] * 36 / 1000)
    assert [c["positive"] for c in thing["clicks"]] == [True, False]
    assert thing["clicks"][0]["position_ras"] == pytest.approx([80 - 72, 70 - 66, -50 + 64])


@pytest.mark.parametrize(("space", "sign"), [("ras", 1), ("lps", -1)])
def test_world_clicks_hit_the_same_voxel(client, session, space, sign):
    body = {"position": [sign * 8, sign * 4, 14], "space": space, "positive": True}
    state = client.post(f"{session}/clicks", json=body).json()["state"]
    assert state["objects"][0]["clicks"][0]["voxel"] == list(CENTRE)


def test_changed_box_is_the_smallest_that_holds_the_change(client, session):
    before = labels(client, session, SHAPE)
    answer = click(client, session)
    after = labels(client, session, SHAPE)
    where = np.argwhere(before != after)
    assert answer["changed"]["box"] == np.stack([where.min(0), where.max(0) + 1], 1).tolist()
    (i, j, k) = (slice(*ends) for ends in answer["changed"]["box"])
    text = ",".join(str(n) for ends in answer["changed"]["box"] for n in ends)
    part = labels(client, session, after[i, j, k].shape, text)
    np.testing.assert_array_equal(part, after[i, j, k])


def test_the_list_says_the_revision_that_a_look_says(client, session):
    def listed() -> int:
        (row,) = (r for r in client.get("/api/v1/sessions").json() if session.endswith(r["id"]))
        return row["revision"]

    assert listed() == client.get(session).json()["revision"]
    paint_cube(client, session, name="a")
    assert listed() == client.get(session).json()["revision"]


def test_labels_carry_revision_and_box(client, session):
    paint_cube(client, session)
    revision = client.get(session).json()["revision"]
    answer = client.get(f"{session}/labels", params={"box": "0,4,1,5,2,6"})
    assert answer.headers["x-revision"] == str(revision)
    assert answer.headers["x-box"] == "0,4,1,5,2,6"
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "box", ["0,1,2", "a,b,c,d,e,f", "0,0,0,1,0,1", "0,49,0,1,0,1", "-1,1,0,1,0,1"]
)
def test_boxes_outside_the_scan_are_refused(client, session, box):
    answer = client.get(f"{session}/labels", params={"box": box})
    assert answer.status_code == 422
    assert answer.json()["error"] == "UsageError"


def test_brush_and_clicks_work_on_the_same_object(client, session):
    click(client, session)
    before = labels(client, session, SHAPE)
    stroke = np.zeros((4, 3, 2))
    stroke[1:, :, :] = 1
    answer = brush(client, session, 1, "2,6,2,5,2,4", stroke)
    assert answer["changed"]["box"] == [[3, 6], [2, 5], [2, 4]]
    after = labels(client, session, SHAPE)
    assert after[3:6, 2:5, 2:4].all()
    assert not after[2, 2:5, 2:4].any()
    changed = before != after
    changed[2:6, 2:5, 2:4] = False
    assert not changed.any()
    state = answer["state"]
    assert len(state["objects"][0]["clicks"]) == 1


def test_undo_and_redo_through_all_edits(client, session):
    click(client, session)
    one = labels(client, session, SHAPE)
    brush(client, session, 1, "0,3,0,3,0,3", np.ones((3, 3, 3)))
    two = labels(client, session, SHAPE)
    undone = client.post(f"{session}/undo").json()
    assert undone["changed"]["box"] == [[0, 3], [0, 3], [0, 3]]
    np.testing.assert_array_equal(labels(client, session, SHAPE), one)
    assert (undone["state"]["undo"], undone["state"]["redo"]) == (1, 1)
    client.post(f"{session}/redo")
    np.testing.assert_array_equal(labels(client, session, SHAPE), two)
    for _ in range(3):
        last = client.post(f"{session}/undo").json()
    assert last["changed"] is None
    assert last["state"]["objects"] == []


def test_objects_are_named_locked_and_removed(client, session):
    made = client.post(f"{session}/objects", json={"class": "liver"}).json()["state"]
    assert made["active"] == 1
    assert made["objects"][0]["name"] == "liver"
    assert made["objects"][0]["class_id"] == 1
    client.post(f"{session}/objects", json={"name": "my lesion"})
    patch = {"name": "other", "locked": True}
    state = client.patch(f"{session}/objects/2", json=patch).json()["state"]
    assert (state["objects"][1]["name"], state["objects"][1]["locked"]) == ("other", True)
    refused = client.post(
        f"{session}/clicks", json={"position": CENTRE, "space": "voxel", "object": 2}
    )
    assert refused.status_code == 422
    assert "locked" in refused.json()["message"]
    state = client.patch(f"{session}/objects/1", json={"active": True}).json()["state"]
    assert state["active"] == 1
    state = client.delete(f"{session}/objects/1").json()["state"]
    assert [o["id"] for o in state["objects"]] == [2]


def test_colours_are_chosen_undone_and_saved(make_service, scan_bytes):
    service = make_service()
    client = client_of(service)
    session = begin(client, upload(client, scan_bytes))
    paint_cube(client, session, **{"class": "liver"})
    first = client.get(session).json()["objects"][0]["color"]
    answer = client.patch(f"{session}/objects/1", json={"color": [1, 2, 3]}).json()
    assert answer["changed"] is None
    assert answer["state"]["objects"][0]["color"] == [1, 2, 3]
    assert service.sessions.put_away_idle(0) == 1
    assert client.get(session).json()["objects"][0]["color"] == [1, 2, 3]
    undone = client.post(f"{session}/undo").json()["state"]
    assert undone["objects"][0]["color"] == first


@pytest.mark.parametrize(
    "color", [[0, 0], [0, 0, 256], [-1, 0, 0], [0.5, 0, 0], [True, 0, 0], ["1", 2, 3], "red"]
)
def test_what_is_no_colour_is_refused(client, session, color):
    client.post(f"{session}/objects", json={})
    answer = client.patch(f"{session}/objects/1", json={"color": color})
    assert answer.status_code == 422
    assert "color" in answer.json()["message"]


def test_overlap_policies(client, session):
    for _ in range(2):
        client.post(f"{session}/objects", json={})
    box, ones = "0,4,0,4,0,4", np.ones((4, 4, 4))
    brush(client, session, 1, box, ones)
    assert client.put(f"{session}/overlap", json={"policy": "keep_existing"}).json()["state"][
        "overlap"
    ] == "keep_existing"  # fmt: skip
    assert brush(client, session, 2, box, ones)["changed"] is None
    client.put(f"{session}/overlap", json={"policy": "allow_overlap"})
    both = brush(client, session, 2, box, ones)["state"]["objects"]
    assert [o["voxels"] for o in both] == [64, 64]
    for number in (1, 2):
        mask = read_nifti_bytes(client.get(f"{session}/objects/{number}/mask").content)
        assert np.asarray(mask.dataobj).sum() == 64
    wrong = client.put(f"{session}/overlap", json={"policy": "fight"})
    assert wrong.status_code == 422


def test_one_click_can_be_taken_back(client, session):
    click(client, session)
    one = labels(client, session, SHAPE)
    click(client, session, (24, 26, 16))
    body = {"object": 1, "index": 1}
    state = client.request("DELETE", f"{session}/clicks", json=body).json()["state"]
    assert len(state["objects"][0]["clicks"]) == 1
    np.testing.assert_array_equal(labels(client, session, SHAPE), one)


def test_reset_of_one_object_and_of_all(client, session):
    click(client, session)
    state = client.post(f"{session}/reset", json={"object": 1}).json()["state"]
    assert state["objects"][0]["voxels"] == 0
    assert client.post(f"{session}/reset").json()["state"]["objects"] == []


def test_prefetch_makes_the_window_known(client, session, service):
    answer = client.post(f"{session}/prefetch", json={"position": CENTRE, "space": "voxel"})
    assert answer.status_code == 202
    outside = client.post(f"{session}/prefetch", json={"position": [999, 0, 0], "space": "voxel"})
    assert outside.status_code == 422


def test_a_mask_can_be_given(client, session):
    client.post(f"{session}/objects", json={"name": "given"})
    mask = body_array() == 110
    answer = client.put(f"{session}/objects/1/mask", content=nifti_bytes(mask.astype(np.uint8)))
    assert answer.status_code == 200, answer.text
    np.testing.assert_array_equal(labels(client, session, SHAPE) == 1, mask)


@pytest.mark.parametrize(
    ("array", "affine", "word"),
    [
        (np.ones((5, 5, 5), np.uint8), AFFINE, "shape"),
        (np.ones(SHAPE, np.uint8), np.eye(4), "not on the grid"),
        ((np.arange(np.prod(SHAPE)) % 3).astype(np.uint8).reshape(SHAPE), AFFINE, "several values"),
        (np.full(SHAPE, 0.5, np.float32), AFFINE, "whole numbers from 0 to 65535"),
        (np.full(SHAPE, np.nan, np.float32), AFFINE, "whole numbers from 0 to 65535"),
    ],
)
def test_a_mask_of_another_grid_is_refused(client, session, array, affine, word):
    client.post(f"{session}/objects", json={})
    answer = client.put(f"{session}/objects/1/mask", content=nifti_bytes(array, affine))
    assert answer.status_code == 422
    assert word in answer.json()["message"]


def test_a_label_map_becomes_objects_with_the_names_that_it_states(client, session, tmp_path):
    labels_given = np.zeros(SHAPE, np.uint8)
    labels_given[2:5, 2:5, 2:5], labels_given[6:9, 2:5, 2:5], labels_given[2:5, 6:9, 2:5] = 1, 7, 9
    scan = Volume(labels_given, AFFINE)
    named = [replace(anatomy.by_id(1), id=7, name="my <tumour>"), anatomy.by_id(1)]
    for write, name in ((write_label_map, "seg.nii.gz"), (write_seg_nrrd, "seg.seg.nrrd")):
        path = tmp_path / name
        write(path, labels_given, scan, named)
        client.post(f"{session}/reset")
        answer = client.post(f"{session}/labels", content=path.read_bytes())
        assert answer.status_code == 200, answer.text
        objects = answer.json()["state"]["objects"]
        names = {1: "liver", 7: "my <tumour>", 9: "label 9"}
        assert [thing["name"] for thing in objects] == list(names.values())
        assert [thing["class_id"] for thing in objects] == [1, None, None]
        shown = labels(client, session, SHAPE)
        for thing, value in zip(objects, names, strict=True):
            np.testing.assert_array_equal(shown == thing["id"], labels_given == value)
    client.post(f"{session}/undo")  # one step
    assert client.get(session).json()["objects"] == []


def test_a_single_value_without_a_name_is_called_as_asked(client, session):
    mask = (body_array() == 110).astype(np.uint8) * 3
    url = f"{session}/labels?name=cyst"
    state = client.post(url, content=nifti_bytes(mask)).json()["state"]
    assert [thing["name"] for thing in state["objects"]] == ["cyst"]
    many = (np.arange(np.prod(SHAPE)) % 2000).astype(np.uint16).reshape(SHAPE)
    answer = client.post(url, content=nifti_bytes(many))
    assert answer.status_code == 413
    assert "remove some" in answer.json()["message"]
    assert len(client.get(session).json()["objects"]) == 1


def test_nifti_export_is_the_servers_mask(client, session):
    paint_cube(client, session)
    data = client.get(f"{session}/export", params={"format": "nii"}).content
    image = read_nifti_bytes(data)
    np.testing.assert_array_equal(np.asarray(image.dataobj) > 0, labels(client, session, SHAPE) > 0)
    np.testing.assert_array_equal(image.affine, AFFINE)


def test_slicer_export_has_names_colours_and_voxels(client, session, tmp_path):
    paint_cube(client, session, **{"class": "spleen"})
    given = {"name": "spleen, enlarged", "color": [255, 0, 51]}
    client.patch(f"{session}/objects/1", json=given)
    answer = client.get(f"{session}/export", params={"format": "seg.nrrd"})
    assert answer.headers["content-disposition"].endswith('.seg.nrrd"')
    path = tmp_path / "x.seg.nrrd"
    path.write_bytes(answer.content)
    values, header = nrrd.read(str(path))
    assert header["Segment0_Name"] == "spleen, enlarged"
    assert header["Segment0_Color"] == "1 0 0.2"
    assert "78961009^Spleen" in header["Segment0_Tags"]  # what it is stays
    np.testing.assert_array_equal(values > 0, labels(client, session, SHAPE) > 0)


def test_stl_export_has_a_surface_per_object(client, session):
    paint_cube(client, session, name="one")
    paint_cube(client, session, corner=(20, 20, 20), **{"class": "liver"})
    data = client.get(f"{session}/export", params={"format": "stl"}).content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        meshes = [trimesh.load(io.BytesIO(archive.read(n)), file_type="stl")
                  for n in archive.namelist()]  # fmt: skip
    assert len(meshes) == 2
    centres = sorted(mesh.bounds.mean(0).tolist() for mesh in meshes)
    middles = (AFFINE[:3, :3] @ np.full(3, c + 2.5) + AFFINE[:3, 3] for c in (4, 20))
    expected = sorted(middle.tolist() for middle in middles)
    np.testing.assert_allclose(centres, expected, atol=0.01)


@pytest.mark.parametrize("name", ["dicom-seg", "dicom-labelmap", "rtstruct"])
def test_dicom_exports_need_a_dicom_study(client, session, name):
    paint_cube(client, session)
    answer = client.get(f"{session}/export", params={"format": name})
    assert answer.status_code == 409
    assert "DICOM series" in answer.json()["message"]


def test_dicom_exports_refer_to_the_source(client, tmp_path):
    paths = sorted(series(tmp_path / "ct", [0.0, 2.0, 4.0]).iterdir())
    for path in paths:
        source = pydicom.dcmread(path)
        source.StudyInstanceUID, source.FrameOfReferenceUID = "1.2.3", "1.2.3.4"
        source.save_as(path)
    files = [("files", (path.name, path.read_bytes())) for path in paths]
    answer = client.post("/api/v1/studies", files=files)
    assert answer.status_code == 201, answer.text
    session = begin(client, answer.json())
    paint_cube(client, session, corner=(2, 3, 0), size=2, **{"class": "liver"})
    for name, sequence in (("dicom-seg", "SegmentSequence"), ("rtstruct", "ROIContourSequence")):
        answer = client.get(f"{session}/export", params={"format": name})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/dicom"
        made = pydicom.dcmread(io.BytesIO(answer.content))
        assert len(made[sequence].value) == 1
        assert made.PatientName == source.PatientName
        if name == "dicom-seg":
            assert made.SegmentSequence[0].SegmentAlgorithmType == "MANUAL"
            assert int(made.pixel_array.sum()) == 8


def test_unknown_formats_are_refused(client, session):
    assert client.get(f"{session}/export", params={"format": "docx"}).status_code == 422


def test_exports_leave_nothing_behind(client, session, service):
    paint_cube(client, session)
    client.get(f"{session}/export", params={"format": "nii"})
    client.get(f"{session}/objects/1/mask")
    assert list((service.storage.root / "incoming").iterdir()) == []


def test_studies_with_sessions_are_not_deleted(client, scan_bytes):
    study = upload(client, scan_bytes)
    session = begin(client, study)
    path = f"/api/v1/studies/{study['id']}"
    assert client.delete(path).status_code == 409
    assert client.delete(session).status_code == 204
    assert client.get(session).status_code == 404
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert study["id"] not in [s["id"] for s in client.get("/api/v1/studies").json()]


def test_lists_know_sessions(client, study, session):
    listed = [s["id"] for s in client.get("/api/v1/sessions").json()]
    assert listed[0] == session.rsplit("/", 1)[1]
    here = next(s for s in client.get("/api/v1/studies").json() if s["id"] == study["id"])
    assert listed[0] in here["sessions"]


def test_folder_studies_are_read_when_opened(make_service, tmp_path):
    path = tmp_path / "data" / "case_0000.nii.gz"
    path.parent.mkdir()
    nib.save(nib.Nifti1Image(body_array(), AFFINE), path)
    client = client_of(make_service(lambda: [("case", path)]))
    (listed,) = client.get("/api/v1/studies").json()
    assert (listed["name"], listed["source"], listed["shape"]) == ("case", "folder", None)
    one = client.get(f"/api/v1/studies/{listed['id']}").json()
    assert one["shape"] == list(SHAPE)
    assert client.delete(f"/api/v1/studies/{listed['id']}").status_code == 409
    path.rename(path.with_name("moved.nii.gz"))
    gone = client.post("/api/v1/sessions", json={"study": listed["id"]})
    assert gone.status_code == 409
    assert "put it back" in gone.json()["message"]


def test_the_openapi_document_names_every_route(client):
    document = client.get("/api/v1/openapi.json").json()
    paths = document["paths"]
    assert "/api/v1/sessions/{session}/clicks" in paths
    operations = [op for path in paths.values() for op in path.values()]
    assert all(op.get("description") for op in operations)
    form = paths["/api/v1/studies"]["post"]["requestBody"]["content"]
    assert "multipart/form-data" in form


def test_the_example_of_the_documentation_clicks_a_new_object(
    make_service, scan_bytes, tmp_path, monkeypatch
):
    page = (Path(__file__).parents[2] / "docs" / "server.md").read_text("utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "ct.nii.gz").write_bytes(scan_bytes)
    monkeypatch.chdir(tmp_path)
    app = create_app(make_service())
    monkeypatch.setattr("httpx.Client", lambda base_url, timeout: TestClient(app, base_url))
    said: dict[str, Any] = {}
    exec(program, said)
    objects = said["edit"]["state"]["objects"]
    assert [(o["name"], len(o["clicks"])) for o in objects if o["clicks"]] == [("lesion", 1)]
    assert {o["name"] for o in objects} == {"liver", "spleen", "lesion"}
    assert nrrd.read_header(str(tmp_path / "out.seg.nrrd"))["Segment2_Name"] == "lesion"
