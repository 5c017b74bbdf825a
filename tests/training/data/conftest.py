"""Small real files: a patient made of blocks; the first axis grows to the patient's right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

NAMES = {
    "background": 0, "liver": 1, "spleen": 2, "kidney_left": 3, "kidney_right": 4, "stomach": 5,
}  # fmt: skip
RAS = np.diag([4.0, 4, 4, 1])
RAS[:3, 3] = -64, -64, -64


def save(path: Path, array: np.ndarray, affine: np.ndarray = RAS) -> Path:
    """Write a NIfTI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def patient(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """HU [32, 32, 32] int16 and labels uint8: organs of distinct density on their sides."""
    rng = np.random.default_rng(seed)
    hu = np.full((32, 32, 32), -1000, np.int16)
    # Patients differ in girth and in where they lie.
    left, right, back, front = rng.integers(0, 4, 4)
    hu[left : 32 - right, 1 + back : 31 - front, :] = -80
    labels = np.zeros(hu.shape, np.uint8)
    wobble = rng.integers(-1, 2, 5)
    for name, box, density, shift in (
        ("liver", (slice(17, 28), slice(8, 24), slice(16, 28)), 60, wobble[0]),
        ("spleen", (slice(4, 10), slice(6, 14), slice(17, 26)), 110, wobble[1]),
        ("stomach", (slice(6, 15), slice(16, 25), slice(16, 25)), 0, wobble[2]),
        ("kidney_left", (slice(6, 11), slice(7, 13), slice(4, 14)), 180, wobble[3]),
        ("kidney_right", (slice(21, 26), slice(7, 13), slice(4, 14)), 180, wobble[4]),
    ):
        box = (*box[:2], slice(box[2].start + shift, box[2].stop + shift))
        hu[box], labels[box] = density, NAMES[name]
    return hu, labels


@pytest.fixture
def data_set(tmp_path: Path) -> Callable[..., Path]:
    """Writes an nnU-Net raw data set of patients into tmp_path; returns its folder."""

    def write(count: int = 2, name: str = "Dataset001_Made", **extra: Any) -> Path:
        folder = tmp_path / name
        for n in range(count):
            hu, labels = patient(n)
            save(folder / "imagesTr" / f"p{n}_0000.nii.gz", hu)
            save(folder / "labelsTr" / f"p{n}.nii.gz", labels)
        content = {"channel_names": {"0": "CT"}, "labels": NAMES, "file_ending": ".nii.gz"}
        (folder / "dataset.json").write_text(json.dumps(content | extra))
        return folder

    return write
