"""Surfaces of the structures, for 3D printing, simulation and viewers: STL in a zip.

Vertices are in RAS+ mm. Marching cubes on a mask gives terraces; Taubin's filter takes them away
without the shrinking of plain smoothing (Taubin 1995), so that volumes stay.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vista3d.results.per_class import plain_names
from vista3d.results.profile import Profile, profile_labels
from vista3d.volume.writers import atomic_path

if TYPE_CHECKING:
    import trimesh

    from vista3d.anatomy import Structure
    from vista3d.volume import Volume

SMOOTHING = {"lamb": 0.5, "nu": 0.53, "iterations": 10}
"""trimesh's default pair of steps: edges of voxels go, a kidney keeps its volume within 1%."""


def surface(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> trimesh.Trimesh:
    """The closed surface of a mask (i, j, k) that is not empty, in the world of the affine.

    Normals point outward, also where the affine mirrors.
    """
    import trimesh
    from skimage.measure import marching_cubes

    corners, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5)
    vertices = (corners - 1) @ affine[:3, :3].T + affine[:3, 3]
    if np.linalg.det(affine[:3, :3]) > 0:
        # scikit-image winds for a left-handed world.
        faces = faces[:, ::-1]
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    trimesh.smoothing.filter_taubin(mesh, **SMOOTHING)
    return mesh


def write_stl_zip(
    path: Path,
    labels: NDArray[np.integer],
    volume: Volume,
    ids: Iterable[int | Structure],
    *,
    profile: Profile | None = None,
) -> Path:
    """Write a binary STL for every structure that was found; written atomically.

    Args:
        path: `.zip`.
        labels: global class ids (i, j, k) on the grid of `volume`, 0 is background.
        volume: the scan, for its geometry; any affine.
        ids: classes to write; those without a voxel are left out.
        profile: `profile_labels(labels)` where it is known already.
    """
    path = Path(path)
    spread = profile or profile_labels(labels)
    found = spread.found(ids)
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as z:
        for name, structure in zip(plain_names(found), found, strict=True):
            box = spread.box(structure.id)
            window = tuple(slice(first, last + 1) for first, last in box)
            start = np.eye(4)
            start[:3, 3] = [first for first, _ in box]
            mesh = surface(np.equal(labels[window], structure.id), volume.affine @ start)
            # A fixed date: the same labels give the same bytes.
            entry = zipfile.ZipInfo(f"{name}.stl")
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, mesh.export(file_type="stl"))
    return path
