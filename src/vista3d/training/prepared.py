"""Training volumes on the model's grid, computed once and kept as compressed arrays."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vista3d import anatomy
from vista3d import volume as vol
from vista3d.training.corpus import Case, to_global
from vista3d.training.synthesis import HEAD, INTERIOR, add_body

log = logging.getLogger(__name__)

LOCATIONS_PER_CLASS = 512
"""Voxels remembered per class: enough that a crop centre is never the same twice in practice."""


@dataclass(frozen=True)
class Prepared:
    """A case on the model's grid, RAS, axis order (i, j, k).

    Attributes:
        case: where it comes from.
        image: int16 HU, or None for a label map without CT.
        labels: int16 global ids, 0 = not labelled; a label map without CT also has the body codes
            of `synthesis.add_body`, a scan with a drawn brain stem has HEAD around and above it.
        locations: global id -> [n, 3] int16 voxels of the class (at most 512).
        annotated: ids that are stated here: listed ones, and for OpenKBP only the drawn ones.
        absent: ids excluded by the body region.
    """

    case: Case
    image: np.ndarray | None
    labels: np.ndarray
    locations: dict[int, np.ndarray]
    annotated: frozenset[int]
    absent: frozenset[int]


def _load(case: Case, spacing: float) -> tuple[np.ndarray | None, np.ndarray]:
    """Resample one case: linear for the CT, nearest for the labels."""
    truth = vol.read(case.label)
    ids = to_global(np.asarray(truth.array), case.mapping)
    size = (spacing, spacing, spacing)
    if case.image is None:
        _, grid = vol.prepare(vol.Volume(ids, truth.affine), size, crop="none")
        return None, add_body(vol.labels_to_model(ids, grid), spacing)
    image, grid = vol.prepare(vol.read(case.image), size, crop="body", margin=8)
    labels = mark_head(vol.labels_to_model(ids, grid))
    return np.clip(image, -1024, 3071).astype(np.int16), labels


def mark_head(labels: np.ndarray) -> np.ndarray:
    """Give unlabelled voxels from the brain stem's lowest plane upwards the code HEAD.

    Few organs are drawn in a head, but what cannot be there is known, and a network that has only
    seen torsos finds kidneys in the brain when everything is prompted.

    Args:
        labels: (i, j, k) global ids in RAS order, k upwards.
    """
    (stem,) = anatomy.resolve(["brain-stem"])
    planes = np.flatnonzero((labels == stem).any((0, 1)))
    if len(planes) == 0:
        return labels
    out = labels.astype(np.int16)
    head = out[:, :, planes[0] :]
    head[head == 0] = HEAD
    return out


def prepare_case(case: Case, spacing: float, cache: Path) -> Prepared:
    """Read a case from the cache, or compute it and write the cache atomically."""
    stamp = f"{case.name}:{case.label.stat().st_size}:{spacing}:{sorted(case.mapping.items())}:v2"
    path = cache / f"{case.name}-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}.npz"
    if path.is_file():
        with np.load(path) as stored:
            image = stored.get("image")
            labels = stored["labels"]
    else:
        log.info("preparing %s", case.name)
        image, labels = _load(case, spacing)
        cache.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.npz")
        arrays = {"labels": labels} if image is None else {"labels": labels, "image": image}
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]
        partial.replace(path)
    locations = _locations(labels)
    annotated = case.annotated
    if not case.source.complete:
        annotated &= frozenset(locations)
    return Prepared(case, image, labels, locations, annotated, case.absent - frozenset(locations))


def _locations(labels: np.ndarray) -> dict[int, np.ndarray]:
    """A fixed random sample of the voxels of each class."""
    voxels = np.argwhere((labels > 0) & (labels < INTERIOR)).astype(np.int16)
    ids = labels[tuple(voxels.T)]
    order = np.argsort(ids, kind="stable")
    voxels, ids = voxels[order], ids[order]
    found, starts = np.unique(ids, return_index=True)
    rng = np.random.default_rng(0)
    samples = {}
    for class_id, group in zip(found, np.split(voxels, starts[1:]), strict=True):
        keep = rng.permutation(len(group))[:LOCATIONS_PER_CLASS]
        samples[int(class_id)] = group[keep]
    return samples
