"""What a lesion is described by: size, density, shape, and where it grows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vista3d.phantom.tissue import Phase

Range = tuple[float, float]
"""Least and most."""


@dataclass(frozen=True)
class Size:
    """Diameters in mm: log-normal, cut off.

    Attributes:
        median: of the distribution.
        sigma: of the logarithm.
        low, high: bounds.
    """

    median: float
    sigma: float
    low: float
    high: float


@dataclass(frozen=True)
class Density:
    """Mean HU in each contrast phase.

    Attributes:
        native, arterial, venous: ranges.
        relative: to the median of the organ around; else absolute.
    """

    native: Range
    arterial: Range
    venous: Range
    relative: bool = False

    def range(self, phase: Phase) -> Range:
        """The range of a phase."""
        return {
            "native": self.native,
            "arterial": self.arterial,
            "portal venous": self.venous,
        }[phase]


@dataclass(frozen=True)
class Zone:
    """A part of a lesion with a density of its own.

    Attributes:
        chance: how often a lesion has it.
        hu: absolute HU of a core; HU added by a rim.
        extent: a core's share of the radius; a rim's width in mm.
        above: mm; smaller lesions have none.
    """

    chance: float
    hu: Range
    extent: Range
    above: float = 0.0


NONE = Zone(0.0, (0.0, 0.0), (0.0, 0.0))


@dataclass(frozen=True)
class LesionKind:
    """One kind of lesion.

    Attributes:
        name: for people.
        share: how often it is drawn among the kinds of its organ.
        class_id: global id that its voxels get; None keeps the label of the organ.
        size: diameter.
        density: mean HU.
        texture: standard deviation in HU of what varies inside, beside the noise of the scan.
        lobulation: standard deviation of the radius over directions, as share of it.
        edge: mm over which the margin blurs, beside the voxel size.
        fills_air: whether it fills air and leaves vessels visible, or replaces what was there.
        spicules: least and most spicules.
        core: necrosis, or the solid component of a part-solid nodule.
        rim: enhancing or sclerotic margin.
        calcified: how often it holds specks of calcium.
        fit: largest radius as share of the depth of the organ.
    """

    name: str
    share: float
    class_id: int | None
    size: Size
    density: Density
    texture: Range
    lobulation: Range
    edge: Range
    fills_air: bool = False
    spicules: tuple[int, int] = (0, 0)
    core: Zone = NONE
    rim: Zone = NONE
    calcified: float = 0.0
    fit: float = 0.9


@dataclass(frozen=True)
class Organ:
    """Where lesions grow.

    Attributes:
        sites: id groups; a lesion stays within one of them.
        kinds: what grows there.
        least: HU (mean of 27 voxels) below which a labelled voxel is something else: labels leak,
            those of vertebrae into the spinal canal.
    """

    sites: tuple[tuple[int, ...], ...]
    kinds: tuple[LesionKind, ...] = field(repr=False)
    least: float = -np.inf
