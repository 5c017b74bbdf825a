"""An afternoon: open a CT, segment, click, paint, leave, come back, take the result away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from tests.web.annotator import Annotator
from tests.web.waiting import wait_until
from vista3d import anatomy
from vista3d import volume as vol
from vista3d.results.label_map import write_label_map


def test_open_segment_click_paint_reload_export(annotator: Annotator, tmp_path: Path) -> None:
    page = annotator.page
    annotator.open("head_neck")

    # Automatic segmentation of a chosen group and a searched structure.
    page.get_by_role("checkbox", name="head and neck").check()
    page.get_by_label("Search structures").fill("spinal")
    page.get_by_role("checkbox", name="Spinal cord").check()
    page.get_by_role("button", name="Segment 3 chosen").click()
    page.locator(".object").first.wait_for()
    annotator.settled()
    automatic = annotator.labels
    assert {o["voxels"] for o in annotator.state["objects"]} == {
        int(n) for n in np.unique(automatic, return_counts=True)[1][1:]
    }

    # A click makes an object where it was, on the server and in the picture.
    page.get_by_role("button", name="New object").click()
    page.locator(".object.active").wait_for()
    x, y = annotator.place(0.5, 0.62)
    voxel = annotator.go(x, y)
    before = annotator.pixels(x + 9, y + 9)
    annotator.click(x, y)
    made = annotator.state["active"]
    labels = annotator.labels
    assert labels[voxel] == made
    mask = labels == made
    assert mask.sum() > 20
    changed = annotator.pixels(x + 9, y + 9) - before
    colour = np.array(annotator.state["objects"][-1]["color"], float)
    towards = np.sign(colour - before)
    assert (changed * towards)[np.abs(colour - before) > 40].mean() > 8
    click = annotator.state["objects"][-1]["clicks"][0]
    assert tuple(click["voxel"]) == voxel
    assert np.allclose(click["position_ras"], annotator.crosshair()[0], atol=4)

    # A negative click inside takes away; undo brings back; redo; undo.
    away = (x + 14, y)
    annotator.go(*away)
    annotator.click(*away, button="right")
    less = annotator.labels == made
    assert less.sum() < mask.sum()
    assert not annotator.state["objects"][-1]["clicks"][-1]["positive"]
    annotator.key("Control+z")
    annotator.settled()
    assert np.array_equal(annotator.labels == made, mask)
    annotator.key("Control+Shift+z")
    annotator.settled()
    assert np.array_equal(annotator.labels == made, less)
    annotator.key("Control+z")
    annotator.settled()

    # Brush and eraser work on the same object, and touch nothing else.
    painted_at = (x - 120, y - 60)
    painted_voxel = annotator.go(*painted_at)
    assert annotator.labels[painted_voxel] != made
    annotator.stroke("b", painted_at, (painted_at[0] + 40, painted_at[1]))
    painted = annotator.labels == made
    assert painted[painted_voxel]
    assert (painted & mask).sum() == mask.sum()
    new = np.argwhere(painted & ~mask)
    assert (np.ptp(new, axis=0) == 0).sum() == 1  # in one slice
    annotator.stroke("x", painted_at, (painted_at[0] + 5, painted_at[1]))
    erased = annotator.labels
    assert erased[painted_voxel] != made
    assert 0 < (painted & (erased != made)).sum() < len(new)
    assert np.array_equal(erased[mask], np.full(mask.sum(), made))

    # Tomorrow.
    objects = annotator.state["objects"]
    page.reload()
    annotator.ready("Axial")
    annotator.settled()
    assert annotator.state["objects"] == objects
    wait_until(lambda: page.locator(".object").count() == len(objects))
    annotator.go(x, y)
    wait_until(lambda: page.locator(".under").inner_text() == objects[-1]["name"])

    # The file is what the server holds, on the scan's grid, and is called as the scan is.
    path = annotator.download("NIfTI", tmp_path)
    assert path.name == "head_neck_seg.nii.gz"
    exported = nib.load(path)
    assert np.array_equal(np.asarray(exported.dataobj) != 0, erased != 0)
    for thing in objects:
        values = np.unique(np.asarray(exported.dataobj)[erased == thing["id"]])
        assert len(values) == 1
    study = annotator.api.json(f"/studies/{annotator.state['study']}")
    assert np.allclose(exported.affine, study["affine"], atol=1e-4)

    # For the picture that is kept: all views, the 3D one is drawn when all is quiet.
    annotator.look("All")
    page.wait_for_timeout(600)


def test_a_mask_that_exists_becomes_an_object(annotator: Annotator, tmp_path: Path) -> None:
    annotator.open("head_neck")
    study = annotator.api.json(f"/studies/{annotator.state['study']}")
    drawn = np.zeros(study["shape"], np.uint8)
    drawn[40:60, 50:70, 60:66] = 1

    def give(name: str, mask: np.ndarray) -> None:
        path = tmp_path / name
        nib.save(nib.Nifti1Image(mask, np.array(study["affine"])), path)
        annotator.page.get_by_label("Mask file", exact=True).set_input_files(path)

    give("my tumour.nii.gz", drawn)
    annotator.page.locator(".object.active", has_text="my tumour").wait_for()
    annotator.settled()
    (made,) = annotator.state["objects"]
    assert made["voxels"] == drawn.sum()
    assert np.array_equal(annotator.labels == made["id"], drawn > 0)
    # A label map becomes several, with its names.
    several = drawn * 2
    several[10:20, 50:70, 60:66] = 1
    scan = vol.Volume(several, np.array(study["affine"]))
    path = tmp_path / "labels.nii.gz"
    write_label_map(path, several, scan, [anatomy.by_id(1)])
    annotator.page.get_by_label("Mask file", exact=True).set_input_files(path)
    annotator.page.locator(".object", has_text="liver").wait_for()
    annotator.page.locator(".object", has_text="label 2").wait_for()
    annotator.settled()
    assert np.array_equal(annotator.labels > 0, several > 0)
    # One of another scan is refused, and leaves no object.
    give("other.nii.gz", drawn[:-1])
    wait_until(lambda: "shape" in annotator.hint)
    annotator.settled()
    names = [thing["name"] for thing in annotator.state["objects"]]
    assert names == ["my tumour", "liver", "label 2"]


def test_work_that_waits_is_not_left_by_mistake(annotator: Annotator) -> None:
    page = annotator.page
    annotator.open("head_neck")
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("button", name="Everything").first.click()
    page.get_by_title("All scans and sessions").click()
    wait_until(lambda: bool(asked))
    assert "has not been computed yet" in asked[0]
    assert "#session=" in page.url
    annotator.settled()
    page.get_by_title("All scans and sessions").click()
    page.get_by_role("heading", name="Go on").wait_for()
    assert len(asked) == 1
