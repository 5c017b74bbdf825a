"""An image and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vista3d.volume.geometry import Geometry

if TYPE_CHECKING:
    from vista3d.volume.dicom_series import DicomSeries


def without_trailing_axes(array: np.ndarray) -> np.ndarray:
    """[i, j, k, 1, ...] -> [i, j, k]: some programs write a time axis of length 1."""
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return array


@dataclass(frozen=True)
class VolumeMeta:
    """What came with the voxels.

    Attributes:
        name: file or folder name without directories or extension; no patient data.
        format: "nifti", "nrrd", "metaimage", "dicom" or "array".
        modality: DICOM modality, or "" where the format does not say.
        warnings: everything that was repaired or looked odd, for people.
        header: the format's own header, to write a mask with the same one.
        series: the DICOM images it was read from, for results that refer to them.
        labels: names of its values, where it is a label map that states them.
    """

    name: str = "array"
    format: str = "array"
    modality: str = ""
    warnings: tuple[str, ...] = ()
    header: Any = field(default=None, repr=False)
    series: DicomSeries | None = field(default=None, repr=False)
    labels: Mapping[int, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, eq=False)
class Volume:
    """A 3D image: array [i, j, k] and its affine (voxel -> RAS+ mm)."""

    array: np.ndarray
    affine: np.ndarray
    meta: VolumeMeta = field(default_factory=VolumeMeta)

    @property
    def geometry(self) -> Geometry:
        """The grid; checked on every access, so that a bad affine cannot travel."""
        i, j, k = self.array.shape
        return Geometry((i, j, k), self.affine)

    @classmethod
    def from_array(cls, array: np.ndarray, affine: np.ndarray, name: str = "array") -> Volume:
        """A volume from memory: array [i, j, k] in HU, affine [4, 4] voxel -> RAS+ mm.

        Raises:
            InputError: not a segmentable 3D image (see `checks`).
            GeometryError: an unusable affine.
        """
        from vista3d.volume.checks import check_ct

        return check_ct(cls(np.asarray(array), np.asarray(affine, np.float64), VolumeMeta(name)))

    def with_warning(self, text: str) -> Volume:
        """The same volume with one more warning, unless it has this one."""
        if text in self.meta.warnings:
            return self
        return replace(self, meta=replace(self.meta, warnings=(*self.meta.warnings, text)))
