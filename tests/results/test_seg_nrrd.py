"""The Slicer segmentation, read back by SimpleITK and pynrrd."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK

from tests.results.conftest import LEFT_KIDNEY, LIVER, RIGHT_KIDNEY, SPINAL_CORD
from vista3d.anatomy import by_id
from vista3d.results import write_seg_nrrd
from vista3d.results.seg_nrrd import terminology_tag
from vista3d.volume import Volume

IDS = (LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPINAL_CORD)


@pytest.fixture
def written(tmp_path, labels, volume):
    return write_seg_nrrd(tmp_path / "a.seg.nrrd", labels, volume, IDS)


def test_simpleitk_finds_every_voxel_at_its_place(written, labels, affine):
    image = SimpleITK.ReadImage(str(written))
    assert (SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0) == labels).all()
    for index in [(0, 0, 0), (19, 15, 11), (4, 9, 2)]:
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        ras = (affine @ [*index, 1])[:3]
        assert lps * [-1, -1, 1] == pytest.approx(ras, abs=1e-6)


def test_pynrrd_reads_a_sheared_grid(tmp_path, labels):
    nrrd = pytest.importorskip("nrrd", reason="pynrrd reads what ITK refuses: sheared axes")
    affine = np.array([[-1, 0.2, 0, 5], [0, -2, 0.7, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    volume = Volume(np.zeros(labels.shape, np.int16), affine)
    path = write_seg_nrrd(tmp_path / "a.seg.nrrd", labels.astype(np.uint16), volume, IDS)
    values, header = nrrd.read(str(path))
    assert (values == labels).all()
    lps = np.diag([-1, -1, 1])
    assert np.array_equal(header["space directions"].T, lps @ affine[:3, :3])
    assert (header["space origin"] == lps @ affine[:3, 3]).all()


def test_segments_have_names_colours_and_codes(written):
    text = written.read_bytes().split(b"\n\n")[0].decode()
    assert "space: left-posterior-superior" in text
    assert "encoding: gzip" in text
    image = SimpleITK.ReadImage(str(written))
    header = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    # The left kidney has no voxel, so there are three segments.
    assert [header[f"Segment{i}_Name"] for i in range(3)] == [
        "liver",
        "right kidney",
        "spinal cord",
    ]
    assert "Segment3_ID" not in header
    assert header["Segment1_LabelValue"] == "5"
    assert header["Segment1_Layer"] == "0"
    assert header["Segment1_Extent"] == "14 19 5 8 3 5"
    colour = [float(text) for text in header["Segment1_Color"].split()]
    assert colour == pytest.approx([c / 255 for c in by_id(5).colour], abs=1e-5)
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert len({header[f"Segment{i}_ID"] for i in range(3)}) == 3


def test_the_terminology_tag_is_slicers():
    tag = terminology_tag(by_id(RIGHT_KIDNEY))
    assert tag.startswith("TerminologyEntry:")
    assert tag.endswith("|")
    parts = tag.removeprefix("TerminologyEntry:").removesuffix("|").split("~")
    assert len(parts) == 7
    _, category, kind, modifier, _, region, region_modifier = parts
    assert category.startswith("SCT^123037004^")
    assert kind.split("^")[0] == "SCT"
    assert modifier == "SCT^24028007^Right"
    assert region == region_modifier == "^^"


def test_two_writings_are_the_same_bytes(written, tmp_path, labels, volume):
    again = write_seg_nrrd(tmp_path / "b.seg.nrrd", np.asfortranarray(labels), volume, IDS)
    assert again.read_bytes() == written.read_bytes()


def test_a_failure_leaves_the_old_file_and_no_litter(written, labels, volume, monkeypatch):
    before = written.read_bytes()

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gzip.GzipFile, "write", fail)
    with pytest.raises(OSError, match="No space"):
        write_seg_nrrd(written, labels, volume, IDS)
    assert written.read_bytes() == before
    assert [path.name for path in written.parent.iterdir()] == [written.name]
