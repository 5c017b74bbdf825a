"""The objects of a session at one moment: an immutable value, so that undoing is remembering."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from vista3d.inference.interactive.clicks import Click
from vista3d.inference.interactive.masks import Mask, intersection, relative

Overlap = Literal["overwrite", "keep existing", "allow overlap"]
"""What happens where an edit meets another object: the edit wins, the other wins, or both stay."""


@dataclass(frozen=True)
class SessionObject:
    """One object of a session.

    Attributes:
        id: of the object, never used twice in a session; its value in label maps.
        name: for people.
        class_id: global id, or None for an anonymous object.
        novel: whether its clicks carry the zero-shot token.
        locked: whether it refuses edits.
        clicks: in the order they were made.
        base: the object before its clicks: automatic, given, or painted.
        mask: the object now.
    """

    id: int
    name: str
    class_id: int | None
    novel: bool
    base: Mask
    mask: Mask
    clicks: tuple[Click, ...] = ()
    locked: bool = False


@dataclass(frozen=True)
class Scene:
    """All objects, by id in the order they were added, and the active one."""

    objects: Mapping[int, SessionObject] = field(default_factory=lambda: MappingProxyType({}))
    active: int | None = None
    next_id: int = 1

    def __iter__(self) -> Iterator[SessionObject]:
        return iter(self.objects.values())

    def added(self, made: SessionObject) -> Scene:
        """With a new object, which becomes the active one."""
        objects = {**self.objects, made.id: made}
        return Scene(MappingProxyType(objects), made.id, max(self.next_id, made.id + 1))

    def changed(self, *objects: SessionObject) -> Scene:
        """With other versions of some objects; their order stays."""
        new = {o.id: o for o in objects}
        merged = {i: new.get(i, o) for i, o in self.objects.items()}
        return replace(self, objects=MappingProxyType(merged))

    def without(self, object_id: int) -> Scene:
        """Without an object; the last one left becomes active if it was the active one."""
        left = {i: o for i, o in self.objects.items() if i != object_id}
        active = self.active if self.active != object_id else next(reversed(left), None)
        return replace(self, objects=MappingProxyType(left), active=active)

    def activated(self, object_id: int) -> Scene:
        """With another active object."""
        return replace(self, active=object_id)

    def painted(self, changed: SessionObject, overlap: Overlap) -> Scene:
        """With a new version of an object, and what this means for the others.

        Only voxels that the object did not have before are disputed. A locked object keeps its
        voxels whatever the policy, unless overlaps are allowed.
        """
        if overlap == "allow overlap":
            return self.changed(changed)
        before = self.objects[changed.id].mask
        box = changed.mask.box
        gained = changed.mask.crop() & ~before.read(box)
        others = []
        for other in self:
            common = intersection(other.mask.box, box)
            if other.id == changed.id or common is None:
                continue
            theirs = other.mask.read(common)
            disputed = gained[relative(common, box)] & theirs
            if not disputed.any():
                continue
            if other.locked or overlap == "keep existing":
                gained[relative(common, box)] &= ~theirs
            else:
                others.append((other, common, disputed))
        kept = gained | (changed.mask.crop() & before.read(box))
        mask = Mask.within(changed.mask.shape, box, kept)
        carved = [
            _carve(other, mask.read(common) & ~before.read(common), common)
            for other, common, _ in others
        ]
        return self.changed(replace(changed, mask=mask), *carved)


def _carve(
    other: SessionObject, taken: np.ndarray, box: tuple[slice, slice, slice]
) -> SessionObject:
    """An object without the voxels that another one took, now and before its clicks."""
    mask = other.mask.written(box, other.mask.read(box) & ~taken)
    base = other.base.written(box, other.base.read(box) & ~taken)
    return replace(other, mask=mask, base=base)
