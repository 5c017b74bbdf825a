"""Geometry there and back, and parity with MONAI."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.volume.conftest import ORIENTATIONS, grids, noise
from vista3d.errors import UsageError
from vista3d.volume import (
    Volume,
    labels_to_model,
    normalise,
    prepare,
    read,
    restore_labels,
    write_labels,
)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@settings(max_examples=4, deadline=None)
@given(st.data())
def test_a_model_voxel_lands_within_half_a_voxel(orientation, data):
    """A mark in the model grid comes back at its own place in the scan, from any orientation."""
    shape, affine = data.draw(grids(orientations=(orientation,)))
    spacing = tuple(np.clip(np.linalg.norm(affine[:3, :3], axis=0), 0.5, 4).tolist())
    array, model = prepare(noise(shape, affine), spacing, crop="none")
    assert array.shape == model.geometry.shape
    assert model.geometry.orientation == "RAS"
    rng = np.random.default_rng(0)
    marks = np.column_stack([rng.integers(0, n, 40) for n in model.geometry.shape])
    labels = np.arange(array.size, dtype=np.int32).reshape(array.shape)
    restored = restore_labels(labels, model)
    assert restored.shape == shape
    # Every scan voxel carries the number of the nearest model voxel.
    voxels = np.column_stack([rng.integers(0, n, 40) for n in shape])
    exact = np.c_[voxels, np.ones(40)] @ model.to_model.T
    index = restored[tuple(voxels.T)]
    found = np.stack(np.unravel_index(index, array.shape), axis=1)
    inside = ((exact[:, :3] > -0.49) & (exact[:, :3] < np.array(array.shape) - 0.51)).all(1)
    assert np.abs(found - exact[:, :3])[inside].max(initial=0) <= 0.5 + 1e-3
    # World positions agree with the two affines.
    world = model.geometry.to_world(marks)
    back = np.c_[marks, np.ones(40)] @ model.to_original.T
    np.testing.assert_allclose(
        noise(shape, affine).geometry.to_voxel(world), back[:, :3], atol=1e-3
    )


@settings(max_examples=30, deadline=None)
@given(grids(kinds=("axes", "oblique")))
def test_a_box_survives_the_round_trip(grid):
    """A mask two model voxels thick and more keeps its centre within half a voxel."""
    shape, affine = grid
    shape = tuple(max(n, 12) for n in shape)
    labels = np.zeros(shape, np.uint8)
    labels[3:9, 3:9, 3:9] = 7
    spacing = tuple(np.linalg.norm(affine[:3, :3], axis=0).tolist())
    _, model = prepare(noise(shape, affine), spacing, crop="none")
    there = labels_to_model(labels, model)
    assert (there == 7).sum() == (labels == 7).sum()
    assert np.array_equal(restore_labels(there, model), labels)


@settings(max_examples=25, deadline=None)
@given(grids())
def test_equal_to_monai(grid):
    """Spacing(1.5) -> CropForeground(margin 10) -> Orientation(RAS), MONAI 1.6.1."""
    from monai.data import MetaTensor
    from monai.transforms import CropForeground, Orientation, Spacing

    shape, affine = grid
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    affine[:3, :3] *= np.clip(spacing, 0.5, 5) / spacing  # bounds the size of the result
    volume = noise(shape, affine)
    image = MetaTensor(torch.from_numpy(volume.array[None].astype(np.float32)), affine=affine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Spacing(pixdim=(1.5,) * 3, mode="bilinear")(image)
        image = CropForeground(select_fn=lambda x: x > 0, margin=10, allow_smaller=True)(image)
        image = Orientation(axcodes="RAS")(image)
    array, model = prepare(volume, (1.5, 1.5, 1.5), crop="foreground", margin=10)
    assert array.shape == tuple(image.shape[1:])
    np.testing.assert_allclose(model.geometry.affine, image.affine.numpy(), atol=1e-6)
    np.testing.assert_allclose(normalise(array), normalise(image[0].numpy()), atol=1e-4)


def test_normalise_window():
    values = normalise(np.array([-2000.0, -963.8247715525971, 0, 40, 1053.678477684517, 3000]))
    np.testing.assert_allclose(values, [0, 0, 0.4777, 0.4976, 1, 1], atol=1e-4)


def test_body_crop_keeps_the_patient_and_drops_air(corpus: Path):
    volume = read(corpus / "Dataset103_TorsoPseudo/imagesTr/lidc_0001_0000.nii.gz")
    labels = read(corpus / "Dataset103_TorsoPseudo/labelsTr/lidc_0001.nii.gz").array
    array, model = prepare(volume, (3.0, 3.0, 3.0), crop="body", margin=2)
    assert array.size < 0.8 * volume.array.size * np.prod(volume.geometry.spacing) / 27
    inside = restore_labels(np.ones(array.shape, np.uint8), model)
    assert (inside[labels > 0] == 1).all()


@pytest.mark.parametrize("name", ["x.nii.gz", "x.nii", "x.nrrd", "x.mha"])
def test_labels_are_written_on_the_scan_grid(tmp_path: Path, name: str):
    affine = np.diag([-0.7, -0.8, 2.5, 1.0])
    affine[:3, 3] = 100, 50, -300
    volume = noise((9, 8, 7), affine)
    labels = (volume.array > 0).astype(np.uint8) * 200
    write_labels(tmp_path / name, labels, volume)
    back = read(tmp_path / name)
    assert np.array_equal(back.array, labels)
    np.testing.assert_allclose(back.affine, affine, atol=1e-4)


def test_labels_replace_no_pixels_of_another_header(tmp_path: Path):
    """The pixels of ct.mhd lie in scan.raw, which labels called scan.mhd would have replaced."""
    import SimpleITK as sitk  # noqa: N813

    sitk.WriteImage(sitk.GetImageFromArray(np.ones((7, 8, 9), np.int16)), tmp_path / "scan.mhd")
    (tmp_path / "scan.mhd").rename(tmp_path / "ct.mhd")
    volume = read(tmp_path / "ct.mhd")
    with pytest.raises(UsageError, match=r"scan\.mhd: label maps are written as .* \.mha"):
        write_labels(tmp_path / "scan.mhd", np.zeros((9, 8, 7), np.uint8), volume)
    assert read(tmp_path / "ct.mhd").array.max() == 1


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@settings(max_examples=2, deadline=None)
@given(st.data())
def test_nifti_header_and_affine_come_back_bit_exact(tmp_path_factory, orientation, data):
    import nibabel as nib

    shape, affine = data.draw(grids(orientations=(orientation,)))
    folder = tmp_path_factory.mktemp("header")
    image = nib.Nifti1Image(noise(shape, affine).array, affine)
    image.header["descrip"] = b"made by a scanner"
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_qform(affine, code=2, strip_shears=True)
    image.header.set_sform(affine, code=3)
    nib.save(image, folder / "a.nii.gz")
    volume = read(folder / "a.nii.gz")
    write_labels(folder / "b.nii.gz", np.ones(shape, np.uint16), volume, extension=b"<xml/>")
    before, after = nib.load(folder / "a.nii.gz"), nib.load(folder / "b.nii.gz")
    assert np.array_equal(before.affine, after.affine)
    changed = {"datatype", "bitpix", "scl_slope", "scl_inter", "cal_min", "cal_max", "vox_offset"}
    for field in before.header:
        if field not in changed:
            assert before.header[field].tobytes() == after.header[field].tobytes(), field
    assert bytes(after.header.extensions[0].get_content()).startswith(b"<xml/>")
    assert (np.asarray(after.dataobj) == 1).all()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    volume = noise((5, 5, 5), np.eye(4))
    path = tmp_path / "x.nii.gz"
    path.write_bytes(b"old")
    with pytest.raises(Exception, match="do not belong"):
        write_labels(path, np.zeros((4, 4, 4), np.uint8), volume)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.nii.gz"]


def test_native_spacing():
    volume = noise((6, 7, 8), np.diag([0.2, 0.2, 0.2, 1]))
    array, model = prepare(volume, None, crop="none")
    assert array.shape == (6, 7, 8)
    assert np.array_equal(array, volume.array)
    assert isinstance(volume, Volume)
    np.testing.assert_allclose(model.to_model, np.eye(4), atol=1e-12)
