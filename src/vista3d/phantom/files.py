"""A phantom on disk: CT, label map and truth."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vista3d import anatomy
from vista3d.phantom.patient import draw_patient, posed

if TYPE_CHECKING:
    from vista3d.volume import Volume


def phantom_files(folder: Path, seed: int) -> tuple[Path, Path, Path]:
    """Where a phantom's CT, label map and truth go."""
    stem = f"phantom_{seed:04d}"
    return folder / f"{stem}_ct.nii.gz", folder / f"{stem}_labels.nii.gz", folder / f"{stem}.json"


def write_phantom(
    folder: Path, seed: int, volume: Volume, labels: np.ndarray, region: str
) -> tuple[Path, Path, Path]:
    """Write `phantom_SEED_ct.nii.gz`, `phantom_SEED_labels.nii.gz` and `phantom_SEED.json`.

    Each file appears complete or not at all.

    Args:
        folder: created where missing.
        seed: of the phantom.
        volume: CT, int16 HU.
        labels: uint8 global ids on its grid.
        region: field of view, for the record.

    Returns:
        The three paths.
    """
    import nibabel

    from vista3d.volume import write_labels
    from vista3d.volume.writers import atomic_path

    ct, mask, truth = phantom_files(folder, seed)
    # nibabel brings no types for its images.
    image: Any = nibabel.nifti1.Nifti1Image(volume.array.astype(np.int16), volume.affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(volume.affine, 1)
    image.set_sform(volume.affine, 1)
    with atomic_path(ct) as temporary:
        image.to_filename(temporary)
    write_labels(mask, labels, volume)
    document = json.dumps(describe(seed, volume, labels, region), indent=1)
    with atomic_path(truth) as temporary:
        temporary.write_text(document + "\n")
    return ct, mask, truth


def describe(seed: int, volume: Volume, labels: np.ndarray, region: str) -> dict[str, Any]:
    """Patient, scan and the volume in mL of every structure in view, cut-off ones marked."""
    patient = asdict(posed(draw_patient(seed), region))
    voxel_ml = abs(float(np.linalg.det(volume.affine[:3, :3]))) / 1000
    counts = np.bincount(labels.ravel(), minlength=1)
    rim = np.concatenate([np.take(labels, (0, -1), axis).ravel() for axis in range(3)])
    cut = set(np.unique(rim).tolist())
    return {
        "seed": seed,
        "region": region,
        "synthetic": True,
        "spacing_mm": [float(s) for s in np.linalg.norm(volume.affine[:3, :3], axis=0)],
        "shape": list(labels.shape),
        "patient": patient,
        "structures": [
            {
                "id": int(i),
                "name": anatomy.by_id(int(i)).name,
                "volume_ml": round(float(counts[i]) * voxel_ml, 3),
                "truncated": int(i) in cut,
            }
            for i in np.flatnonzero(counts)
            if i
        ],
    }
