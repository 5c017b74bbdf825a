"""Paper Alg. 2: from a scan to supervoxels on its grid."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from vista3d.errors import InputError
from vista3d.supervoxels.air import outside_air
from vista3d.supervoxels.enlarge import enlarge
from vista3d.supervoxels.resampling import resize, smooth
from vista3d.supervoxels.slic import slic
from vista3d.supervoxels.teacher import Progress, Teacher
from vista3d.supervoxels.threads import one_thread
from vista3d.volume import bounding_box

if TYPE_CHECKING:
    from vista3d.volume import Volume

SEGMENTS = 100
"""Of the paper; the released code's default argument is 400 (facts 4)."""
WORKING_VOXELS = 2**21
"""Features are made and clustered on at most about as many voxels as 128^3: 270 MB of 32 channels
for any scan, where 512 x 512 x 300 voxels would take 10 GB. A torso is worked on at 2 to 3 mm."""


def supervoxels(
    volume: Volume,
    teacher: Teacher,
    segments: int = SEGMENTS,
    *,
    progress: Progress | None = None,
) -> np.ndarray:
    """Supervoxels of a scan, on its own grid and in its own axes (no reorientation).

    Args:
        volume: in HU.
        teacher: what looks alike.
        segments: supervoxels wanted in the patient.
        progress: hears the finished part of the features, which take most of the time.

    Returns:
        uint16 [i, j, k], or int32 above 65535 supervoxels; 0 is the air around the patient.
    """
    labels = segment_array(
        volume.array, volume.geometry.spacing, segments, teacher, progress=progress
    )
    fits = int(labels.max(initial=0)) <= np.iinfo(np.uint16).max
    return labels.astype(np.uint16) if fits else labels


def segment_array(
    hu: np.ndarray,
    spacing_mm: float | tuple[float, float, float],
    segments: int,
    teacher: Teacher,
    *,
    progress: Progress | None = None,
) -> np.ndarray:
    """Supervoxels of an array.

    Args:
        hu: [h, w, d], any number type.
        spacing_mm: of all axes, or along (h, w, d).
        segments: supervoxels wanted outside the air; small ones are merged, so there are fewer.
        teacher: what looks alike.
        progress: hears the finished part of the features.

    Returns:
        int32 [h, w, d], 1..n; 0 is the air around the patient.

    Raises:
        InputError: not three axes.
    """
    if hu.ndim != 3 or not hu.size:
        msg = f"an array of shape {hu.shape} is no scan: it must have three axes"
        raise InputError(msg)
    spacing = spacing_mm if isinstance(spacing_mm, tuple) else (spacing_mm, spacing_mm, spacing_mm)
    inside = ~outside_air(hu, math.prod(spacing) / 1000)
    labels = np.zeros(hu.shape, np.int32)
    box = bounding_box(inside)
    if box is None:
        return labels
    found = _cluster(hu[box], inside[box], spacing, segments, teacher, progress)
    labels[box] = _numbered(found * inside[box])
    return labels


def working_shape(
    shape: tuple[int, ...], spacing: tuple[float, float, float]
) -> tuple[int, int, int]:
    """The grid that features are made on: isotropic where the scan is finer, never finer than it.

    Args:
        shape: voxels of the scan along (i, j, k).
        spacing: of the scan, mm.
    """
    extent = [n * mm for n, mm in zip(shape, spacing, strict=True)]
    side = (math.prod(extent) / WORKING_VOXELS) ** (1 / 3)
    i, j, k = (min(n, max(1, round(mm / side))) for n, mm in zip(shape, extent, strict=True))
    return i, j, k


def _cluster(
    hu: np.ndarray,
    inside: np.ndarray,
    spacing: tuple[float, float, float],
    segments: int,
    teacher: Teacher,
    progress: Progress | None,
) -> np.ndarray:
    """Features, smoothing, SLIC, and back to the grid of `hu`: int32, not yet cut by `inside`."""
    shape = working_shape(hu.shape, spacing)
    i, j, k = (mm * n / m for mm, n, m in zip(spacing, hu.shape, shape, strict=True))
    features = teacher.features(hu, spacing, shape, progress)
    if teacher.smoothing_mm:
        sigma = teacher.smoothing_mm
        with one_thread():
            for channel in features:
                channel.copy_(smooth(channel, (sigma / i, sigma / j, sigma / k)))
    # Every working voxel that holds a part of the patient.
    mask = resize(torch.from_numpy(inside).to(features.device), shape) > 0
    labels = slic(features, segments, compactness=teacher.compactness, spacing=(i, j, k), mask=mask)
    del features
    h, w, d = hu.shape
    return enlarge(labels.cpu().numpy(), (h, w, d))


def _numbered(labels: np.ndarray) -> np.ndarray:
    """Without gaps: a supervoxel of skin alone may have been cut away with the air."""
    there = np.zeros(int(labels.max(initial=0)) + 1, bool)
    for plane in labels:  # numpy would count in a copy of 8 bytes a voxel
        there[plane] = True
    there[0] = False
    table = np.where(there, np.cumsum(there), 0).astype(np.int32)
    return np.asarray(table[labels])
