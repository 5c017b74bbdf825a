"""What a session looks like at one moment, and which labels an edit changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from vista3d.inference.interactive import InteractiveSession, Overlap, SessionObject
from vista3d.inference.interactive.masks import Mask, intersection, relative
from vista3d.volume import bounding_box

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class View:
    """An immutable picture of a session: reading it waits for nobody.

    Attributes:
        revision: grows with each change.
        objects: in the order they were added; the last one is on top.
        saved: whether this revision is on disk.
    """

    revision: int
    objects: tuple[SessionObject, ...]
    active: int | None
    overlap: Overlap
    undo: int
    redo: int
    saved: bool

    @classmethod
    def of(cls, session: InteractiveSession, revision: int, *, saved: bool) -> View:
        """The session now."""
        history = session.history
        return cls(
            revision, session.objects, session.active, session.overlap,
            len(history.past), len(history.future), saved,
        )  # fmt: skip

    def same(self, other: View) -> bool:
        """Whether nothing differs but the number."""
        mine = (self.objects, self.active, self.overlap, self.undo, self.redo)
        return mine == (other.objects, other.active, other.overlap, other.undo, other.redo)


@dataclass(frozen=True, eq=False)
class Edit:
    """A session after an edit, with all that its answer says: nothing can fail any more.

    Attributes:
        session, study: their ids.
        affine: [4, 4] of the scan.
        view: the session now.
        changed: the smallest box of all voxels whose label changed; None where none did.
    """

    session: str
    study: str
    affine: np.ndarray
    view: View
    changed: Box | None


_counted: WeakKeyDictionary[Mask, int] = WeakKeyDictionary()


def voxels_of(mask: Mask) -> int:
    """How many voxels a mask has; counted once, as a session shows all its objects each time."""
    count = _counted.get(mask)
    if count is None:
        count = _counted[mask] = mask.voxels
    return count


def labels_in(objects: Sequence[SessionObject], box: Box) -> np.ndarray:
    """uint16 [box], Fortran order: the id of the object on top at each voxel, 0 for none."""
    out = np.zeros([part.stop - part.start for part in box], np.uint16, order="F")
    for thing in objects:
        common = intersection(thing.mask.box, box)
        if common is not None:
            crop = thing.mask.crop()[relative(common, thing.mask.box)]
            out[relative(common, box)][crop] = thing.id
    return out


def changed_box(before: Sequence[SessionObject], after: Sequence[SessionObject]) -> Box | None:
    """The smallest box that holds every voxel whose label differs."""
    old, new = ({thing.id: thing.mask for thing in side} for side in (before, after))
    boxes = [
        box
        for key in old.keys() | new.keys()
        if (box := _difference(old.get(key), new.get(key))) is not None
    ]
    if not boxes:
        return None
    # Only here can labels differ; what lies under another object did not change its label.
    whole = _hull(boxes)
    found = bounding_box(labels_in(before, whole) != labels_in(after, whole))
    return None if found is None else _shifted(found, whole)


def _difference(one: Mask | None, two: Mask | None) -> Box | None:
    """Box of the voxels in which two masks of an object differ."""
    if one is two or one == two:
        return None
    if not one or not two:
        return (one or two).box if (one or two) else None  # type: ignore[union-attr]
    whole = _hull([one.box, two.box])
    found = bounding_box(one.read(whole) != two.read(whole))
    return None if found is None else _shifted(found, whole)


def _hull(boxes: Sequence[Box]) -> Box:
    i, j, k = (
        slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes))
        for axis in range(3)
    )
    return i, j, k


def _shifted(box: Box, origin: Box) -> Box:
    i, j, k = (slice(p.start + o.start, p.stop + o.start) for p, o in zip(box, origin, strict=True))
    return i, j, k
