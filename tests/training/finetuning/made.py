"""A tiny model and a data set with a bright block that no table of structures names."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from tests.training.recipes import TINY
from vista3d.network.checkpoint import save_checkpoint
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D

AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])


def make_base(path: Path) -> Path:
    """Random weights that claim to know liver (1), spleen (3) and aorta (6)."""
    torch.manual_seed(0)
    meta = CheckpointMeta(
        name="tiny",
        config=TINY,
        spacing=(4.0, 4.0, 4.0),
        window=(32, 32, 32),
        intensity=(-1000.0, 1000.0),
        classes=(1, 3, 6),
        licence="CC BY 4.0.",
        provenance={"point_branch": "trained"},
    )
    save_checkpoint(path, Vista3D(TINY).state_dict(), meta)
    return path


def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and labels [40, 40, 40]: 1 is a bright block, 2 a darker one, at places of their own."""
    rng = np.random.default_rng(number)
    labels = np.zeros((40, 40, 40), np.uint8)
    i, j, k = rng.integers(4, 12, 3)
    labels[i : i + 12, j : j + 12, k : k + 12] = 1
    labels[26:34, j : j + 10, k : k + 12] = 2
    hu = np.full(labels.shape, -80.0) + 10 * rng.standard_normal(labels.shape)
    hu[labels == 1] += 500
    hu[labels == 2] += 120
    hu[:2] = hu[-2:] = -1000
    return hu.astype(np.int16), labels


def make_dataset(folder: Path, count: int = 6, lacking: tuple[int, ...] = ()) -> Path:
    """nnU-Net raw layout, labels `block` and `other`; some scans without the block."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for number in range(count):
        hu, labels = draw(number)
        if number in lacking:
            labels[labels == 1] = 0
        name = f"case{number}"
        nib.save(nib.Nifti1Image(hu, AFFINE), folder / "imagesTr" / f"{name}_0000.nii.gz")
        nib.save(nib.Nifti1Image(labels, AFFINE), folder / "labelsTr" / f"{name}.nii.gz")
    about = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "block": 1, "other": 2},
        "numTraining": count,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder
