"""Undo and redo: the scenes before and after this one.

A scene costs only what it does not share with its neighbours: the compressed masks of the objects
that changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vista3d.inference.interactive.masks import Mask
from vista3d.inference.interactive.scene import Scene

STEPS = 200
"""Steps that can be undone."""

BYTES = 256 * 2**20
"""Compressed masks that the past may hold beyond the present ones."""

LEAST = 50
"""Steps that are kept whatever they cost."""


class History:
    """The present scene, its past and its future.

    Args:
        steps: most steps that can be undone.
        limit: bytes of masks that only the past holds; the oldest steps go first, but never the
            last 50.
    """

    def __init__(self, present: Scene, steps: int = STEPS, limit: int = BYTES) -> None:
        self._steps, self._limit = steps, limit
        self.present = present
        self.past: list[Scene] = []
        self.future: list[Scene] = []

    def push(self, scene: Scene) -> None:
        """A new present; what was undone before is gone. The same objects again are no step."""
        if scene.objects == self.present.objects:
            self.present = scene
            return
        self.past.append(self.present)
        self.present = scene
        self.future.clear()
        del self.past[: max(0, len(self.past) - self._steps)]
        while len(self.past) > LEAST and self.bytes > self._limit:
            del self.past[0]

    def undo(self) -> bool:
        """One step back; False where there is none."""
        if not self.past:
            return False
        self.future.append(self.present)
        self._return_to(self.past.pop())
        return True

    def redo(self) -> bool:
        """One step forward; False where there is none."""
        if not self.future:
            return False
        self.past.append(self.present)
        self._return_to(self.future.pop())
        return True

    def _return_to(self, scene: Scene) -> None:
        """Ids stay given: another object of the same one would be taken for the undone object."""
        self.present = replace(scene, next_id=max(scene.next_id, self.present.next_id))

    @property
    def bytes(self) -> int:
        """Compressed masks that are held only to undo and redo."""
        now = {id(mask) for mask in masks([self.present])}
        held = {id(mask): len(mask.data) for mask in masks([*self.past, *self.future])}
        return sum(size for key, size in held.items() if key not in now)


def masks(scenes: Iterable[Scene]) -> Iterable[Mask]:
    """Every mask of the scenes; shared ones as often as they are used."""
    for scene in scenes:
        for thing in scene:
            yield thing.start
            yield thing.base
            yield thing.mask
            for erasure in thing.erasures:
                yield erasure.mask
