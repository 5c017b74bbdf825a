"""STL: closed surfaces of the right size at the right place, also on mirrored and sheared grids."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh

from tests.dicom import GRIDS, grid
from vista3d.anatomy import new_structure
from vista3d.results import write_stl_zip
from vista3d.results.meshes import surface
from vista3d.volume import Volume

LIVER, RIGHT_KIDNEY = 1, 5


def ball(shape: tuple[int, int, int], centre: tuple[float, ...], radius: float) -> np.ndarray:
    away = np.indices(shape) - np.reshape(centre, (3, 1, 1, 1))
    return (away**2).sum(axis=0) <= radius**2


@pytest.mark.parametrize("place", [*GRIDS, "right-handed"])
def test_volume_place_and_direction(place: str):
    affine = np.diag([1.0, 2, 3, 1]) if place == "right-handed" else grid(place)
    mask = ball((30, 32, 34), (14, 15, 17), 11)
    mesh = surface(mask, affine)
    assert mesh.is_watertight
    expected = mask.sum() * abs(np.linalg.det(affine[:3, :3]))
    # Negative where the normals point inward.
    assert mesh.volume == pytest.approx(expected, rel=0.02)
    centre = (affine @ [14, 15, 17, 1])[:3]
    np.testing.assert_allclose(mesh.center_mass, centre, atol=0.1)


def test_smoothing_takes_the_terraces_away():
    mask = ball((40, 40, 40), (20, 20, 20), 15)
    away = np.linalg.norm(surface(mask, np.eye(4)).vertices - 20, axis=1)
    assert away.std() < 0.16  # marching cubes alone: 0.21
    assert away.mean() == pytest.approx(15, abs=0.3)


def test_thin_and_tiny_structures_stay():
    rod = np.zeros((30, 5, 5), bool)
    rod[2:28, 2, 2] = True
    mesh = surface(rod, np.eye(4))
    assert mesh.extents[0] > 24
    assert mesh.volume > 0
    point = np.zeros((3, 3, 3), bool)
    point[1, 1, 1] = True
    assert surface(point, np.eye(4)).volume > 0


def test_the_zip_holds_one_file_per_structure(tmp_path: Path):
    shape, affine = (30, 24, 20), grid("oblique")
    labels = np.zeros(shape, np.uint16)
    labels[ball(shape, (9, 10, 11), 6)] = LIVER
    labels[20:25, 2:9, 2:9] = 1001
    labels[26:30, 20:24, 16:20] = 1002
    labels[0:3, 20:24, 0:3] = 1003
    volume = Volume(np.zeros(shape, np.int16), affine)
    ids = [
        LIVER,
        RIGHT_KIDNEY,
        *(new_structure(1001 + n, t) for n, t in enumerate(("a", "A", "é"))),
    ]
    path = write_stl_zip(tmp_path / "a.zip", labels, volume, ids)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["liver.stl", "a.stl", "1002_a.stl", "1003.stl"]
        stored = archive.read("liver.stl")
    assert not stored.startswith(b"solid")
    assert len(stored) == 84 + 50 * int.from_bytes(stored[80:84], "little")
    mesh = trimesh.load(io.BytesIO(stored), file_type="stl")
    np.testing.assert_allclose(mesh.center_mass, (affine @ [9, 10, 11, 1])[:3], atol=0.3)
    first = path.read_bytes()
    assert write_stl_zip(path, labels, volume, ids).read_bytes() == first
