"""The objects of a session at one moment: an immutable value, so that undoing is remembering."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeGuard

import numpy as np

from vista3d.inference.interactive.clicks import Click
from vista3d.inference.interactive.erasures import (
    Erasures,
    click_removed,
    drawn,
    erased,
    still_denied,
)
from vista3d.inference.interactive.masks import Mask, intersection, relative
from vista3d.inference.windows import Slices

Overlap = Literal["overwrite", "keep existing", "allow overlap"]
"""What happens where an edit meets another object: the edit wins, the other wins, or both stay."""

Colour = tuple[int, int, int]
"""RGB, each 0..255."""


def is_colour(value: object) -> TypeGuard[Colour]:
    """Whether a value is a `Colour`."""
    return (
        isinstance(value, tuple)
        and len(value) == 3
        and all(type(part) is int and 0 <= part <= 255 for part in value)
    )


@dataclass(frozen=True)
class SessionObject:
    """One object of a session.

    Attributes:
        id: of the object, never used twice in a session; its value in label maps.
        name: for people.
        class_id: global id, or None for an anonymous object.
        novel: whether its clicks carry the zero-shot token.
        locked: whether it refuses edits.
        colour: RGB, 0..255, that a person chose; None for that of its structure.
        erasures: what a brush or another object took away.
        clicks: in the order they were made.
        start: the object without its clicks: automatic, given, painted; what a reset returns to.
        base: what the clicks from number `settled` on refine. It differs from `start` once a brush
            or another object has changed what the earlier clicks made: merging those again would
            undo that.
        settled: how many clicks are part of `base` already. The network still sees all of them.
        mask: the object now.
        automatic: whether `start` is what its class prompt found.
        computed: whether `start` was that once, whatever a brush has changed since.
    """

    id: int
    name: str
    class_id: int | None
    novel: bool
    start: Mask
    base: Mask
    mask: Mask
    erasures: Erasures = ()
    clicks: tuple[Click, ...] = ()
    settled: int = 0
    locked: bool = False
    colour: Colour | None = None
    automatic: bool = False
    computed: bool = False

    @property
    def by_name(self) -> bool:
        """Whether its class says more of it than its start does, which nobody drew."""
        return self.class_id is not None and (self.automatic or not self.start)

    @functools.cached_property
    def denied(self) -> Mask:
        """Voxels that were taken away; the network gives them back only where it is clicked."""
        return still_denied(self.erasures, self.clicks, self.mask.shape)

    def started(self, mask: Mask, *, automatic: bool = False) -> SessionObject:
        """From this mask on, without clicks; nothing was taken from it yet."""
        return replace(
            self, start=mask, base=mask, mask=mask, erasures=(), clicks=(), settled=0,
            automatic=automatic, computed=automatic,
        )  # fmt: skip

    def unclicked(self) -> SessionObject:
        """At its start, without clicks; what was taken away stays away."""
        left = self
        for _ in self.clicks:
            left = left.without_click(0)
        return replace(left, mask=self.start, base=self.start)

    def without_click(self, index: int) -> SessionObject:
        """Without one of its clicks; the mask does not know it yet."""
        clicks = (*self.clicks[:index], *self.clicks[index + 1 :])
        changed = replace(self, clicks=clicks, erasures=click_removed(self.erasures, index))
        if index < self.settled:  # it cannot be taken out of what it was merged into
            return replace(changed, base=self.start, settled=0)
        return changed

    def without(self, box: Slices, taken: np.ndarray) -> SessionObject:
        """Without the voxels set in `taken` [box], now and at its start."""
        if all(intersection(x.box, box) is None for x in (self.mask, self.start, self.base)):
            return self
        mask = self.mask.without(box, taken)
        start = self.start.without(box, taken)
        erasures = self._erased(box, taken)
        if mask is self.mask:
            base = self.base.without(box, taken)
            return replace(self, start=start, base=base, erasures=erasures)
        return replace(
            self, start=start, base=mask, mask=mask, erasures=erasures, settled=len(self.clicks)
        )

    def brushed(self, box: Slices, covered: np.ndarray, *, adds: bool) -> SessionObject:
        """With the voxels that a brush `covered` [box], or without those that an eraser did."""
        if adds:
            mask, start = self.mask.with_(box, covered), self.start.with_(box, covered)
            erasures = drawn(self.erasures, box, covered)
        else:
            mask, start = self.mask.without(box, covered), self.start.without(box, covered)
            erasures = self._erased(box, covered)
        return replace(
            self, start=start, base=mask, mask=mask, erasures=erasures, settled=len(self.clicks),
            automatic=False,
        )  # fmt: skip

    def _erased(self, box: Slices, taken: np.ndarray) -> Erasures:
        lost = taken & (self.mask.read(box) | self.start.read(box))
        return erased(self.erasures, Mask.within(self.mask.shape, box, lost), len(self.clicks))

    def clicked(self, click: Click) -> SessionObject:
        """With one more click; the mask does not know it yet."""
        return replace(self, clicks=(*self.clicks, click))


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

    def painted(
        self, changed: SessionObject, overlap: Overlap, apart: Container[int] = ()
    ) -> Scene:
        """With a new version of an object, and what this means for the others.

        Only voxels that the object did not have before are disputed. A locked object keeps its
        voxels whatever the policy, unless overlaps are allowed.

        Args:
            changed: the new version.
            overlap: the policy.
            apart: objects known to share no voxel with it.
        """
        if overlap == "allow overlap":
            return self.changed(changed)
        box = changed.mask.box
        now = changed.mask.crop()
        gained = now & ~self.objects[changed.id].mask.read(box)
        others = [o for o in self if o.id != changed.id and o.id not in apart]
        for other in others:
            if not (other.locked or overlap == "keep existing"):
                continue
            common = intersection(other.mask.box, box)
            if common is not None:
                gained[relative(common, box)] &= ~other.mask.read(common)
        refused = now & ~gained & ~self.objects[changed.id].mask.read(box)
        kept = replace(
            changed,
            mask=changed.mask.without(box, refused),
            start=changed.start.without(box, refused),
            base=changed.base.without(box, refused),
        )
        carved = [
            other.without(box, gained)
            for other in others
            if not other.locked and overlap == "overwrite"
        ]
        return self.changed(kept, *carved)
