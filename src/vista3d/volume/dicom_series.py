"""The slices of a DICOM series: where each lies, and the object it is in.

A slice is a single-frame image or one frame of an enhanced multi-frame image; what comes after
this file need not know which. A volume that was read from DICOM keeps its series, without pixels,
so that results can refer to the images they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vista3d.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

_GROUPS = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence",
           "PixelValueTransformationSequence")  # fmt: skip
_FIRST_PIXEL_TAG = 0x7FE00000


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice.

    Attributes:
        image: the object that holds it.
        frame: its number in a multi-frame object, from 0; None for a single-frame image.
        position: [3] LPS mm, centre of the first voxel.
        row, column: [3] unit vectors along which the column and the row index grow.
        spacing: mm between the centres of (rows, columns).
        slope, intercept: stored value -> HU.
    """

    image: Dataset
    frame: int | None
    position: np.ndarray
    row: np.ndarray
    column: np.ndarray
    spacing: tuple[float, float]
    slope: float
    intercept: float

    @property
    def height(self) -> float:
        """Position along the slice normal, mm."""
        return float(np.cross(self.row, self.column) @ self.position)

    def pixels(self) -> np.ndarray:
        """Stored values [row, column].

        Raises:
            InputError: compressed in a way that no installed codec decodes, or damaged.
        """
        try:
            pixels = self.image.pixel_array
            # A multi-frame object with one frame is decoded as two-dimensional.
            multi = self.frame is not None and pixels.ndim > 2
            return np.asarray(pixels[self.frame] if multi else pixels)
        except Exception as error:  # pydicom raises a dozen types for undecodable pixels
            syntax = self.image.file_meta.TransferSyntaxUID.name
            msg = f"pixels compressed as {syntax} cannot be decoded ({error}): decompress them"
            raise InputError(msg) from error

    def to_patient(self, points: np.ndarray) -> np.ndarray:
        """(column, row) indices [N, 2], fractional -> LPS mm [N, 3] in the plane of the slice."""
        along_row = points[:, :1] * self.spacing[1] * self.row
        return np.asarray(self.position + along_row + points[:, 1:] * self.spacing[0] * self.column)


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """The series of a volume; slice k holds voxels [:, :, k], with i its columns and j its rows.

    Attributes:
        slices: in the order of the volume; their images have no pixels.
        frames: how many frames the multi-frame image has, left-out ones included; 0 where the
            images are single-frame.
    """

    slices: tuple[Slice, ...]
    frames: int = 0

    @property
    def images(self) -> list[Dataset]:
        """One image per slice, or the one multi-frame image."""
        return [self.slices[0].image] if self.frames else [s.image for s in self.slices]

    @classmethod
    def of(cls, slices: list[Slice]) -> DicomSeries:
        """Keep the headers of the slices and let go of their pixels."""
        headers = {id(s.image): s.image for s in slices}
        headers = {key: _without_pixels(image) for key, image in headers.items()}
        kept = tuple(replace(s, image=headers[id(s.image)]) for s in slices)
        multi = slices[0].frame is not None
        return cls(kept, int(slices[0].image.NumberOfFrames) if multi else 0)


def slices_of(image: Dataset) -> list[Slice]:
    """The slices of an object; none where it is no image of grey values, or an overview or a mask.

    Raises:
        AttributeError, TypeError, ValueError: its place in the patient is missing or malformed.
    """
    if not all(name in image for name in ("PixelData", "Rows", "Columns")):
        return []
    if "SegmentSequence" in image or "LOCALIZER" in image.get("ImageType", ()):
        return []
    if int(image.get("SamplesPerPixel", 1) or 1) > 1:  # RGB: a screenshot, a rendering
        return []
    if "PerFrameFunctionalGroupsSequence" in image:
        return list(_frames(image))
    if int(image.get("NumberOfFrames", 1) or 1) > 1:
        return []
    return [_slice(image, None, image)]


def _frames(image: Dataset) -> Iterator[Slice]:
    """Frames of an enhanced object; a functional group is shared or per frame (PS3.3 C.7.6.16)."""
    for number, own in enumerate(image.PerFrameFunctionalGroupsSequence):
        yield _slice(image, number, _flat([*image.SharedFunctionalGroupsSequence, own]))


def _flat(groups: Iterable[Dataset]) -> Dataset:
    """What a single-frame image says at its top, out of functional groups; later ones win."""
    import pydicom

    flat = pydicom.Dataset()
    for group in groups:
        for name in _GROUPS:
            for item in group.get(name) or ():
                flat.update(item)
    return flat


def _slice(image: Dataset, frame: int | None, values: Dataset) -> Slice:
    row, column = np.array(values.ImageOrientationPatient, float).reshape(2, 3)
    row_step, column_step = (float(x) for x in values.PixelSpacing)
    return Slice(
        image,
        frame,
        position=np.array(values.ImagePositionPatient, float).reshape(3),
        row=row,
        column=column,
        spacing=(row_step, column_step),
        slope=float(values.get("RescaleSlope", 1) or 1),
        intercept=float(values.get("RescaleIntercept", 0) or 0),
    )


def _without_pixels(image: Dataset) -> Dataset:
    import pydicom

    # Elements as they are in the file: a value that nobody needs may be malformed.
    kept = {tag: image.get_item(tag) for tag in image.keys() if tag < _FIRST_PIXEL_TAG}  # noqa: SIM118
    header = pydicom.Dataset(kept)
    header.file_meta = image.file_meta
    return header
