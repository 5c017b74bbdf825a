"""A scan stored in no usual order: what is shown is where it is."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from tests.web.annotator import Annotator


def test_voxels_intensities_and_strokes_of_a_turned_scan(annotator: Annotator, scans: Path) -> None:
    annotator.open("turned")
    stored = nib.load(scans / "turned.nii.gz")
    data = np.asarray(stored.dataobj)
    assert nib.aff2axcodes(stored.affine) == ("S", "L", "A")

    for plane in ("Axial", "Coronal", "Sagittal"):
        annotator.look(plane)
        mm, voxel, intensity = _at(annotator, 0.47, 0.55)
        assert intensity == data[voxel]
        assert np.allclose(nib.affines.apply_affine(stored.affine, voxel), mm, atol=0.06)

    # Towards the left of the picture is the patient's right, up is the front: as radiologists look.
    annotator.look("Axial")
    middle, left, up = (
        _at(annotator, *place)[0] for place in [(0.5, 0.55), (0.4, 0.55), (0.5, 0.45)]
    )
    assert left[0] > middle[0]
    assert up[1] > middle[1]

    # A stroke lands where it is seen to land, in one slice of the plane it was drawn in.
    annotator.page.get_by_role("button", name="New object").click()
    annotator.look("Coronal")
    x, y = annotator.place(0.5, 0.5)
    voxel = annotator.go(x, y)
    annotator.page.get_by_role("checkbox", name="Outline").uncheck()
    before = annotator.pixels(x + 8, y + 8)
    annotator.stroke("b", (x, y))
    annotator.key("n")
    labels = annotator.labels
    painted = np.argwhere(labels)
    assert labels[voxel] == annotator.state["active"]
    assert np.abs(painted.mean(0) - voxel).max() < 0.6
    assert np.ptp(painted[:, 2]) == 0  # file axis 2 runs to the front: a coronal slice
    assert np.linalg.norm(annotator.pixels(x + 8, y + 8) - before) > 20


def _at(annotator: Annotator, across: float, down: float):  # type: ignore[no-untyped-def]
    annotator.go(*annotator.place(across, down))
    return annotator.crosshair()
