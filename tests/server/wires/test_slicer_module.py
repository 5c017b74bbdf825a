"""3D Slicer's module MONAI Label, the real one, against the server; see docs/clients.md."""

from __future__ import annotations

import gzip
import hashlib
import os
import urllib.request
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.server.wires.conftest import CENTRE, LIVER, SPLEEN, TOKEN, computed, serving
from tests.server.wires.slicer_program import Program, imported, unpack, widget_of
from tests.server.wires.test_monai_label import wanted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def module_folder(tmp_path_factory) -> Path:
    """The module out of the wheel that MONAI Label publishes."""
    wheel = os.environ.get("VISTA3D_MONAILABEL_WHEEL")
    if wheel is None:
        pytest.skip(
            "set VISTA3D_MONAILABEL_WHEEL to what `pip download --no-deps monailabel==0.8.5` gives"
        )
    return unpack(Path(wheel), tmp_path_factory.mktemp("monailabel"))


@pytest.fixture
def program(tmp_path, scan_bytes) -> Program:
    """Slicer with the scan loaded."""
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(scan_bytes)
    return Program(path, "2: CT Abdomen")


@pytest.fixture
def module(module_folder, program):
    """The module in the program."""
    with imported(module_folder, program) as module:
        yield module


@pytest.fixture
def panel(module, program, address, tmp_path):
    """The module's panel, connected."""
    widget = widget_of(module, program, address, tmp_path)
    widget.fetchInfo()
    assert set(widget.models) == {"vista3d", "vista3d_auto", "vista3d_points"}
    widget.initSample({"id": program.name, "session": True}, autosegment=False)
    return widget


def click(panel, segment: str, foreground: list, background: list) -> None:
    """Points on a segment, all that it has."""
    found = panel._segmentNode.segments
    panel.currentSegment = lambda: (segment, found[segment])
    panel.dgPositivePointListNode, panel.dgNegativePointListNode = foreground, background
    panel.getControlPointsXYZ = lambda points, _: [list(p) for p in points]
    panel.onClickDeepgrow(None)


def masks(panel) -> dict[str, np.ndarray]:
    """Segments with voxels, (i, j, k)."""
    segments = panel._segmentNode.segments.values()
    return {s.name: s.mask.transpose() for s in segments if s.mask is not None and s.mask.any()}


def test_segments_points_and_submit(panel, program, client):
    panel.onClickSegmentation()
    assert set(masks(panel)) == {"liver", "spleen"}
    assert np.array_equal(masks(panel)["spleen"], wanted(SPLEEN) > 0)
    panel._segmentNode.AddEmptySegment("lesion", "lesion", None)
    assert computed(lambda: click(panel, "lesion", [CENTRE], [])) == 1
    assert computed(lambda: click(panel, "lesion", [CENTRE], [(14, 10, 8)])) == 1
    assert not masks(panel)["lesion"][14, 10, 8]
    shown = masks(panel)

    panel.onSaveLabel()
    (row,) = (r for r in client.get("/api/v1/studies").json() if r["name"] == program.name)
    (session,) = row["sessions"]
    objects = client.get(f"/api/v1/sessions/{session}").json()["objects"]
    # In a label map the segment that comes last lies on top.
    top = {name: mask & ~(shown["lesion"] & (name != "lesion")) for name, mask in shown.items()}
    assert {o["name"]: o["voxels"] for o in objects} == {n: m.sum() for n, m in top.items()}
    assert panel.info["datastore"]["completed"] >= 1  # it asks again after a submission
    labels = np.asarray(nib.load(panel.logic.download_label(row["id"], "final")).dataobj)
    assert np.array_equal(labels > 0, np.any(list(shown.values()), axis=0))


@pytest.mark.usefixtures("study")
def test_next_sample_is_a_file_that_slicer_can_open(panel, program):
    panel.ui.strategyBox.currentText = "first"
    panel._volumeNode = None
    panel.onNextSampleButton()
    (asked,) = program.downloaded
    assert asked["fileNames"].endswith(".nii.gz")
    with urllib.request.urlopen(asked["uris"]) as answer:
        data = answer.read()
    assert asked["checksums"] == f"SHA256:{hashlib.sha256(data).hexdigest()}"
    assert nib.Nifti1Image.from_bytes(gzip.decompress(data)).ndim == 3
    assert panel.current_sample["id"]


def test_login(module, program, make_service, tmp_path):
    with serving(make_service(token=TOKEN)) as url:
        panel = widget_of(module, program, url, tmp_path)
        logic = panel.logic
        logic.setServer(url)
        logic.username, logic.password = "anybody", TOKEN  # what the dialog is closed with
        panel.fetchInfo()
        panel.initSample({"id": program.name, "session": True}, autosegment=False)
        panel.onClickSegmentation()
        panel.onSaveLabel()
        assert set(masks(panel)) == {"liver", "spleen"}


def test_its_client_with_a_token_in_a_script(module, program, make_service, tmp_path):
    """One client for many requests: from the second on it sends headers of the one before."""
    with serving(make_service(token=TOKEN)) as url:
        client = module.MONAILabelClient(url, str(tmp_path), "script")
        assert client.auth_enabled()
        with pytest.raises(Exception, match="401"):
            client.auth_token("anybody", "guess")
        client.update_auth(client.auth_token("anybody", TOKEN))
        assert client.auth_valid_token()
        large = tmp_path / "large.nii"
        noise = np.random.default_rng(1).integers(-1000, 1000, (96, 96, 80), np.int16)
        nib.save(nib.Nifti1Image(noise, np.diag([2.0, 2, 2, 1])), large)  # more than 1 MiB
        assert client.upload_image(str(large), "large")["image"] == "large"
        assert client.info()["datastore"]["total"] == 1
        for _ in range(2):
            key = client.create_session(str(program.volume))["session_id"]
            file, told = client.infer("vista3d_auto", "", {"label_prompt": [LIVER]}, session_id=key)
            assert told["label_names"] == {"liver": 1}
            assert client.save_label(
                key, file, params={"label_info": [{"name": "liver", "idx": 1}]}
            )
            assert client.get_session(key)["name"] == key
        assert not client.train_status(check_if_running=True)
        assert len(client.datastore()["objects"]) == 3
        client.download_label(key, "final")
        assert client.next_sample("random", {})["name"].startswith("large-")
