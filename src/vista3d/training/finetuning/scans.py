"""Which scans take part, and what was measured of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vista3d import volume as vol
from vista3d.errors import InputError
from vista3d.training.data.case import Case, to_global
from vista3d.training.data.cases import dataset_cases
from vista3d.training.data.label_file import read_label_file
from vista3d.training.data.layouts import Listing, find_listings
from vista3d.training.data.mapping import MappingFile, Rules, shipped_mapping
from vista3d.training.finetuning.targets import Target, only_named
from vista3d.volume import bounding_box

HELD_OUT = 5
"""One in so many patients is held out to validate on; below that number none is."""

MEASURED = 20
"""Scans that the plan is made from: more change a median little and take long to read."""

_HU = (-4096.0, 4096.0)
_AIR_HU = -200.0


@dataclass(frozen=True)
class Scan:
    """What was measured of a scan.

    Attributes:
        case: its files, and what their labels mean.
        spacing: cube root of the voxel's volume, mm.
        extent: of the grid, mm, ascending.
        masks: global id -> where it is drawn, bool [i, j, k], cut out of the scan.
        range: 0.5 and 99.5 percentile of its values.
        hounsfield: whether its values look like HU, with air in the picture.
    """

    case: Case
    spacing: float
    extent: tuple[float, float, float]
    masks: dict[int, vol.Volume]
    range: tuple[float, float]
    hounsfield: bool


@dataclass(frozen=True)
class Scans:
    """The scans of a run: to train on, and held out."""

    train: tuple[Case, ...]
    held_out: tuple[Case, ...]
    measured: tuple[Scan, ...]


def choose(data: Path, targets: tuple[Target, ...], count: int | None) -> Scans:
    """The scans to learn from: the first ones, by name, in which every class is drawn.

    What a list calls "test" is never touched, and what it calls "validation" is held out; in other
    lists every patient number `HELD_OUT` is.

    Args:
        data: one data set, see `find_listings`.
        targets: what is learned.
        count: how many to take, held-out ones included; None: all in which any class is drawn, or
            is known to be absent.

    Raises:
        InputError: several data sets, no or too few such scans.
        UsageError: labels that it does not have.
    """
    listing = _one(data)
    cases = dataset_cases(listing, _rules(listing, targets))
    side = listing.splits
    usable = [c for c in cases if c.image and c.label and side.get(c.patient) != "test"]
    listed = [case for case in usable if side.get(case.patient) == "validation"]
    pool = [case for case in usable if side.get(case.patient) != "validation"]
    wanted = {target.class_id for target in targets}
    chosen: list[Case] = []
    measured: list[Scan] = []
    for case in pool:
        if len(chosen) == count:
            break
        if count is None and len(measured) >= MEASURED:
            chosen.append(case)
            continue
        scan = measure(case)
        if scan.masks.keys() >= wanted or (count is None and scan.masks):
            measured.append(scan)
            chosen.append(case)
        elif count is None and case.source.complete:
            chosen.append(case)  # it teaches what is not the structure
    if not measured or (count is not None and len(chosen) < count):
        msg = (
            f"{listing.file}: {len(measured)} of {len(pool)} scans have voxels of every class of "
            f"the map, {count or 1} needed: correct --map, or ask for fewer --cases"
        )
        raise InputError(msg)
    if not listed:
        patients = list(dict.fromkeys(case.patient for case in chosen))
        held = frozenset(patients[HELD_OUT - 1 :: HELD_OUT])
        listed = [case for case in chosen if case.patient in held]
        chosen = [case for case in chosen if case.patient not in held]
    return Scans(tuple(chosen), tuple(listed), tuple(measured))


def measure(case: Case) -> Scan:
    """Read one scan and its labels.

    Raises:
        InputError, GeometryError: a file that cannot be read, or labels that do not fit the scan.
    """
    assert case.image is not None
    assert case.label is not None
    image = vol.check_ct(vol.read(case.image))
    grid = image.geometry
    ids = to_global(read_label_file(case, case.label, grid).array, case.mapping)
    low, high = np.percentile(image.array, (0.5, 99.5))
    first, second, third = sorted(n * s for n, s in zip(grid.shape, grid.spacing, strict=True))
    return Scan(
        case=case,
        spacing=float(np.prod(grid.spacing)) ** (1 / 3),
        extent=(first, second, third),
        masks={
            int(i): cut_out(vol.Volume(ids == i, grid.affine))
            for i in np.unique(ids)
            if i in case.annotated
        },
        range=(float(low), float(high)),
        hounsfield=bool(_HU[0] <= low < high <= _HU[1] and image.array.min() <= _AIR_HU),
    )


def cut_out(mask: vol.Volume) -> vol.Volume:
    """The smallest box around a mask that is not empty, with a voxel of background."""
    padded = np.pad(mask.array, 1)
    inner = bounding_box(padded)
    assert inner is not None
    box = tuple(slice(part.start - 1, part.stop + 1) for part in inner)
    affine = mask.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array([part.start - 1 for part in box], float)
    return vol.Volume(padded[box], affine)


def _one(data: Path) -> Listing:
    listings = find_listings(data)
    if len(listings) > 1:
        names = ", ".join(listing.name for listing in listings)
        msg = f"{data} holds {len(listings)} data sets ({names}): point at one of them"
        raise InputError(msg)
    return listings[0]


def _rules(listing: Listing, targets: tuple[Target, ...]) -> MappingFile:
    """The labels of the map are targets, all others are background to them.

    Whether a class without voxels is absent or was not drawn is what `vista3d train` says.
    """
    complete = shipped_mapping().rules(listing.name).complete
    rules = Rules(complete=complete, labels=only_named(listing, targets))
    return MappingFile("--map", frozenset(), {listing.name: rules})
