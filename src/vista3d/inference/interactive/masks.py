"""Masks as immutable values: a bounding box and its compressed bits.

A session holds a mask for each of a hundred objects, and for each of its past states. Packed and
deflated, a liver of 13 million voxels takes about 30 kB, so that nothing else is needed to undo.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from vista3d.errors import InputError
from vista3d.inference.windows import Slices, Triple
from vista3d.volume import bounding_box

_EMPTY = (slice(0, 0), slice(0, 0), slice(0, 0))


@dataclass(frozen=True)
class Mask:
    """A binary mask on the scan's grid. Two masks of the same voxels are equal.

    Attributes:
        shape: of the scan.
        low: first voxel of the bounding box, tight; (0, 0, 0) where the mask is empty.
        size: of the bounding box.
        data: zlib of the box's bits in C order, most significant first.
    """

    shape: Triple
    low: Triple
    size: Triple
    data: bytes = field(repr=False)

    @classmethod
    def empty(cls, shape: Triple) -> Mask:
        """No voxel of a scan of this shape."""
        return cls(shape, (0, 0, 0), (0, 0, 0), b"")

    @classmethod
    def of(cls, array: np.ndarray) -> Mask:
        """From a bool array [i, j, k] over the whole scan."""
        i, j, k = array.shape
        return cls.within((i, j, k), (slice(0, i), slice(0, j), slice(0, k)), array)

    @classmethod
    def within(cls, shape: Triple, box: Slices, values: np.ndarray) -> Mask:
        """From bool values [box]; nothing outside the box."""
        found = bounding_box(values)
        if found is None:
            return cls.empty(shape)
        low = (
            box[0].start + found[0].start,
            box[1].start + found[1].start,
            box[2].start + found[2].start,
        )
        part = values[found]
        i, j, k = part.shape
        return cls(shape, low, (i, j, k), zlib.compress(np.packbits(part).tobytes(), 1))

    @property
    def box(self) -> Slices:
        """Tight bounding box; empty slices where the mask is empty."""
        if not self.data:
            return _EMPTY
        i, j, k = (slice(a, a + n) for a, n in zip(self.low, self.size, strict=True))
        return i, j, k

    def __bool__(self) -> bool:
        return bool(self.data)

    @property
    def voxels(self) -> int:
        """How many voxels are set."""
        return int(np.count_nonzero(self.crop()))

    def crop(self) -> np.ndarray:
        """Bool [box].

        Raises:
            InputError: the data do not hold the bits of the box (a damaged session file).
        """
        count = int(np.prod(self.size))
        if not count:
            return np.zeros(self.size, bool)
        wanted = (count + 7) // 8
        # Never inflate more than the box can hold: a session file may come from anywhere.
        stream = zlib.decompressobj()
        try:
            raw = stream.decompress(self.data, wanted + 1)
        except zlib.error as error:
            raise InputError(_DAMAGED) from error
        if len(raw) != wanted or not stream.eof or stream.unused_data:
            raise InputError(_DAMAGED)
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=count)
        return bits.astype(bool).reshape(self.size)

    def read(self, box: Slices) -> np.ndarray:
        """Bool [box] for any box of the scan."""
        out = np.zeros([part.stop - part.start for part in box], bool)
        common = intersection(self.box, box)
        if common is not None:
            out[relative(common, box)] = self.crop()[relative(common, self.box)]
        return out

    def written(self, box: Slices, values: np.ndarray) -> Mask:
        """The mask with `values` [box] in a box, and unchanged outside it."""
        if not self.data:
            return Mask.within(self.shape, box, values)
        if not values.size:
            return self
        i, j, k = (
            slice(min(a.start, b.start), max(a.stop, b.stop))
            for a, b in zip(self.box, box, strict=True)
        )
        whole = self.read((i, j, k))
        whole[relative(box, (i, j, k))] = values
        return Mask.within(self.shape, (i, j, k), whole)

    def with_(self, box: Slices, values: np.ndarray) -> Mask:
        """The mask with the voxels set in `values` [box] as well."""
        return self.written(box, self.read(box) | values) if values.any() else self

    def without(self, box: Slices, values: np.ndarray) -> Mask:
        """The mask without the voxels set in `values` [box]."""
        common = intersection(self.box, box)
        if common is None:
            return self
        before = self.read(common)
        after = before & ~values[relative(common, box)]
        return self if (after == before).all() else self.written(common, after)

    def array(self) -> np.ndarray:
        """Bool [i, j, k] over the whole scan."""
        out = np.zeros(self.shape, bool)
        out[self.box] = self.crop()
        return out


_COUNTED = 2**16
"""Labels below it are found without sorting their voxels, by one entry for each number up to the
largest: of the value 50 000 000 alone, 50 million entries."""


def values_of(labels: np.ndarray) -> list[int]:
    """The values of an integer label map but 0.

    Raises:
        InputError: one of them is negative.
    """
    return list(_boxes(labels))


def masks_of(labels: np.ndarray, ids: Iterable[int] | None = None) -> dict[int, Mask]:
    """One mask a class of a label map [i, j, k]; one pass over it finds all their boxes.

    Args:
        labels: integers.
        ids: the classes, found or not; None: every value there is but 0.

    Raises:
        InputError: a negative value.
    """
    i, j, k = labels.shape
    boxes = _boxes(labels)
    masks = {}
    for class_id in boxes if ids is None else ids:
        box = boxes.get(class_id)
        if box is None:
            masks[class_id] = Mask.empty((i, j, k))
        else:
            masks[class_id] = Mask.within((i, j, k), box, labels[box] == class_id)
    return masks


def _boxes(labels: np.ndarray) -> dict[int, Slices]:
    """Every value of a label map but 0, ascending, and the box around it."""
    from scipy import ndimage

    if labels.min(initial=0) < 0:
        msg = f"the label map has the value {labels.min()}: labels are 0, for background, and above"
        raise InputError(msg)
    if labels.max(initial=0) < _COUNTED:
        found = enumerate(ndimage.find_objects(labels), start=1)
        return {value: box for value, box in found if box is not None}
    values, numbers = np.unique(labels, return_inverse=True)
    boxes = ndimage.find_objects(numbers.reshape(labels.shape) + 1)
    return {int(n): box for n, box in zip(values, boxes, strict=True) if n}


_DAMAGED = "the session file is damaged: the voxels of a mask cannot be read; use a backup"


def union(*boxes: Slices) -> Slices:
    """The smallest box around all that are not empty; the last one where all are."""
    filled = [box for box in boxes if all(part.start < part.stop for part in box)] or boxes[-1:]
    i, j, k = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*filled, strict=True)
    )
    return i, j, k


def intersection(one: Slices, two: Slices) -> Slices | None:
    """The common box; None where there is none."""
    low = [max(a.start, b.start) for a, b in zip(one, two, strict=True)]
    high = [min(a.stop, b.stop) for a, b in zip(one, two, strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return None
    i, j, k = (slice(a, b) for a, b in zip(low, high, strict=True))
    return i, j, k


def relative(box: Slices, origin: Slices) -> Slices:
    """The same box in indices of another one that contains it."""
    i, j, k = (slice(a.start - o.start, a.stop - o.start) for a, o in zip(box, origin, strict=True))
    return i, j, k
