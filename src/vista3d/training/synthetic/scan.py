"""Scans of a label map's own grid: drawn by tissue tables or by MAISI, whatever its axes are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vista3d import volume as vol
from vista3d.training.synthetic.body import add_body
from vista3d.training.synthetic.resynthesis import draw_scan, perturb_structures
from vista3d.volume.resample import resample

Array = NDArray[np.float32]

FINEST = 1.0
"""mm: a drawn CT has no finer grid than this; a whole torso has 60 million voxels of it."""


def draw_for(labels: vol.Volume, rng: np.random.Generator) -> Array:
    """Draw a CT for a label map.

    Args:
        labels: global class ids on any grid.
        rng: source of every random choice.

    Returns:
        float32 HU on the map's grid. It is drawn on an isotropic one and resampled.
    """
    spacing = max(FINEST, min(labels.geometry.spacing))
    ids, grid = vol.prepare(labels, (spacing,) * 3, crop="none")
    ids = vol.labels_to_model(np.asarray(labels.array), grid)
    hu = draw_scan(add_body(ids, spacing), rng, spacing)
    return resample(hu, grid.geometry, labels.geometry)


def perturb(scan: vol.Volume, labels: vol.Volume, rng: np.random.Generator) -> Array:
    """A real CT whose labelled structures have other densities; float32 HU on its grid."""
    hu = torch.from_numpy(np.asarray(scan.array, np.float32))
    ids = torch.from_numpy(np.asarray(labels.array, np.int64))
    return perturb_structures(hu, ids, rng).numpy()


def generate_for(labels: vol.Volume, folder: Path, seed: int, device: str = "cpu") -> Array:
    """Draw a CT for a label map with MAISI's networks; float32 HU on the map's grid.

    Raises:
        WeightsError: the checkpoint directory is incomplete.
        UsageError: an empty label map.
    """
    from vista3d.training.synthetic.maisi import generate
    from vista3d.training.synthetic.maisi_checkpoint import load_maisi

    networks = load_maisi(folder, torch.device(device))
    ids, grid = vol.prepare(labels, None, crop="none")
    hu = generate(networks, ids.astype(np.int64), grid.geometry.spacing, seed)
    return vol.restore_labels(hu, grid)
