"""A case on the model's grid: what training draws patches from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from vista3d import anatomy
from vista3d import volume as vol
from vista3d.errors import GeometryError
from vista3d.training.data.case import Case, to_global
from vista3d.training.data.chunks import Voxels
from vista3d.training.data.label_file import read_label_file
from vista3d.training.synthetic.body import add_body
from vista3d.training.synthetic.tissues import HEAD, INTERIOR
from vista3d.volume import Geometry

LOCATIONS_PER_CLASS = 512
"""Voxels remembered per class: enough that a crop centre is never the same twice in practice."""

HU_RANGE = (-1024, 3071)
"""12-bit CT. The network sees less (facts 2.1: -964..1054); augmentation needs the rest."""


@dataclass(frozen=True)
class Arrays:
    """What is computed of a case, RAS, axis order (i, j, k).

    Attributes:
        image: int16 HU, clipped to HU_RANGE; None for a label map without CT.
        labels: int16 global ids, 0 = not labelled; a label map without CT also has the body codes
            of `synthetic.add_body`, a scan with a drawn brain stem has HEAD around and above it.
        supervoxels: int32 ids, 0 = none; None where the case has none.
    """

    image: np.ndarray | None
    labels: np.ndarray
    supervoxels: np.ndarray | None = None


@dataclass(frozen=True)
class Prepared:
    """A case ready for patches; its volumes are in memory or in a store.

    Attributes:
        case: where it comes from.
        image, labels, supervoxels: see `Arrays`.
        locations: global id -> [n, 3] int16 voxels of the class (at most LOCATIONS_PER_CLASS).
        annotated: ids that are stated here: listed ones and the teacher's; of an incomplete data
            set only the drawn ones.
        absent: ids excluded by the body region.
    """

    case: Case
    image: Voxels | None
    labels: Voxels
    locations: Mapping[int, np.ndarray]
    annotated: frozenset[int]
    absent: frozenset[int]
    supervoxels: Voxels | None = None

    @classmethod
    def of(
        cls,
        case: Case,
        image: Voxels | None,
        labels: Voxels,
        locations: Mapping[int, np.ndarray],
        supervoxels: Voxels | None = None,
    ) -> Prepared:
        """Volumes of a case, with what it states about them."""
        found = frozenset(locations)
        annotated = case.annotated if case.source.complete else case.annotated & found
        if case.pseudo is not None:
            annotated |= case.pseudo.classes
        return cls(
            case, image, labels, locations, annotated, case.source.absent - found, supervoxels
        )


def prepare_arrays(case: Case, spacing: float) -> Arrays:
    """Resample a case: linear for the CT, nearest for labels and supervoxels.

    Args:
        case: with a label file or a teacher's.
        spacing: isotropic voxel size, mm.

    Raises:
        InputError: a file that cannot be read, or values that are no labels.
        GeometryError: labels or supervoxels on another grid than the scan.
    """
    size = (spacing, spacing, spacing)
    if case.image is None:
        drawn = _labels(case, None)
        _, grid = vol.prepare(drawn, size, crop="none")
        return Arrays(None, add_body(vol.labels_to_model(drawn.array, grid), spacing))
    scan = _in_hu(vol.check_ct(vol.read(case.image)), case.source.intensity)
    drawn = _labels(case, scan.geometry)
    image, grid = vol.prepare(scan, size, crop="body", margin=8)
    labels = vol.labels_to_model(drawn.array, grid)
    if case.source.head:
        labels = mark_head(labels)
    supervoxels = None
    if case.supervoxels is not None:
        regions = read_label_file(case, case.supervoxels, scan.geometry, np.int32)
        supervoxels = vol.labels_to_model(regions.array, grid)
    return Arrays(np.clip(image, *HU_RANGE).astype(np.int16), labels, supervoxels)


def _in_hu(scan: vol.Volume, intensity: tuple[float, float] | None) -> vol.Volume:
    """The scan on the scale of HU, where its own unit is another."""
    if intensity is None:
        return scan
    low, high = intensity
    share = (scan.array.astype(np.float32) - low) / (high - low)
    return replace(scan, array=vol.A_MIN + share * (vol.A_MAX - vol.A_MIN))


def _labels(case: Case, grid: Geometry | None) -> vol.Volume:
    """Global ids (int16) on the scan's grid, or where there is no scan on the label map's own.

    The teacher fills what no annotator labelled, with the classes that are believed and that the
    annotator did not draw.
    """
    drawn = None
    if case.label is not None:
        truth = read_label_file(case, case.label, grid)
        drawn = replace(truth, array=to_global(truth.array, case.mapping))
        grid = truth.geometry
    if case.pseudo is not None:
        taught = read_label_file(case, case.pseudo.path, grid)
        seen = set() if drawn is None else set(np.unique(drawn.array).tolist())
        believed = to_global(taught.array, {i: i for i in case.pseudo.classes - seen})
        if drawn is None:
            return replace(taught, array=believed)
        return replace(drawn, array=np.where(drawn.array == 0, believed, drawn.array))
    if drawn is None:
        msg = f"case {case.name!r} has no labels: leave it out, or have a teacher label it"
        raise GeometryError(msg)
    return drawn


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


def class_locations(labels: np.ndarray) -> dict[int, np.ndarray]:
    """A fixed random sample of the voxels of each class: global id -> [n, 3] int16."""
    voxels = np.argwhere((labels > 0) & (labels < INTERIOR)).astype(np.int16)
    ids = labels[tuple(voxels.T)]
    order = np.argsort(ids, kind="stable")
    voxels, ids = voxels[order], ids[order]
    found, starts = np.unique(ids, return_index=True)
    rng = np.random.default_rng(0)
    samples = {}
    groups = np.split(voxels, starts)[1:]  # nothing before the first class
    for class_id, group in zip(found, groups, strict=True):
        keep = rng.permutation(len(group))[:LOCATIONS_PER_CLASS]
        samples[int(class_id)] = group[keep]
    return samples
