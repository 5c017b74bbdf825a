"""A person, a scan and a model: objects that are clicked, corrected, undone and kept.

Every change is computed first and becomes the present in one assignment at the end: an operation
that fails or is cancelled leaves the session as it was.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import numpy as np

from vista3d import anatomy
from vista3d.errors import UsageError
from vista3d.inference.interactive import storage
from vista3d.inference.interactive.clicks import Click, Space
from vista3d.inference.interactive.history import History
from vista3d.inference.interactive.labelled import painted
from vista3d.inference.interactive.masks import Mask, masks_of
from vista3d.inference.interactive.pointer import Pointer, PointMask, Prompt
from vista3d.inference.interactive.scene import (
    Colour,
    Overlap,
    Scene,
    SessionObject,
    is_colour,
)
from vista3d.inference.merge import Voxel, refine
from vista3d.inference.watch import Progress, Watch
from vista3d.inference.windows import Slices, Triple
from vista3d.volume import Geometry, Volume
from vista3d.wording import first_of

Automatic = Callable[..., tuple[np.ndarray, tuple[int, ...]]]
"""classes, progress, cancel -> label map [i, j, k] of global ids, and the ids asked for."""

TABLE = anatomy.Vocabulary()
"""Of a model without classes of its own."""

SUPPORTED = range(1, 133)
"""Ids that the released network's point branch knows; others are novel to it (facts 1.4)."""

REACH_MM = 3.0
"""A positive click just beside the answer belongs to it: within two voxels of the released 1.5 mm
grid, as the released merge allows 2 voxels."""

Listener = Callable[[Progress], None]
_Work = TypeVar("_Work", bound=Callable[..., Any])


def _alone(work: _Work) -> _Work:
    """One operation at a time, whichever thread asks."""

    @functools.wraps(work)
    def locked(self: InteractiveSession, *args: Any, **kwargs: Any) -> Any:
        if self._worker == threading.get_ident():
            msg = (
                f"{work.__name__} was called from within another operation's progress: wait for it"
            )
            raise UsageError(msg)
        with self._lock:
            self._worker = threading.get_ident()
            try:
                return work(self, *args, **kwargs)
            finally:
                self._worker = None

    return cast(_Work, locked)


class InteractiveSession:
    """Objects on one scan.

    Args:
        volume: the scan.
        pointer: answers clicks.
        automatic: segments classes; None where `run_automatic` is not needed.
        overlap: what happens where an edit meets another object, see `scene.Overlap`.
        supported: class ids that the network's supported token was trained with.
        vocabulary: names of the classes that an object may have.

    Raises:
        UsageError: an unknown overlap policy.
    """

    def __init__(
        self,
        volume: Volume,
        pointer: Pointer,
        automatic: Automatic | None = None,
        *,
        overlap: Overlap = "overwrite",
        supported: Container[int] = SUPPORTED,
        vocabulary: anatomy.Vocabulary = TABLE,
    ) -> None:
        self._volume, self._pointer, self._automatic = volume, pointer, automatic
        self._supported, self._vocabulary = supported, vocabulary
        self._lock = threading.Lock()
        self._worker: int | None = None
        self._history = History(Scene())
        self.overlap = overlap

    # What there is.

    @property
    def volume(self) -> Volume:
        """The scan."""
        return self._volume

    @property
    def vocabulary(self) -> anatomy.Vocabulary:
        """Names of the classes that an object may have."""
        return self._vocabulary

    @property
    def overlap(self) -> Overlap:
        """The overlap policy; it can be changed at any time and holds for later edits."""
        return self._overlap

    @overlap.setter
    def overlap(self, policy: Overlap) -> None:
        if policy not in get_args(Overlap):
            msg = f"unknown overlap policy {policy!r}: one of {', '.join(get_args(Overlap))}"
            raise UsageError(msg)
        self._overlap = policy

    @property
    def objects(self) -> tuple[SessionObject, ...]:
        """All objects, in the order they were added."""
        return tuple(self._history.present)

    @property
    def active(self) -> int | None:
        """The object that a click without a name goes to."""
        return self._history.present.active

    def __getitem__(self, object_id: int) -> SessionObject:
        return self._find(object_id)

    @property
    def history(self) -> History:
        """For its sizes; change it through `undo` and `redo`."""
        return self._history

    def mask(self, object_id: int) -> np.ndarray:
        """Bool [i, j, k] of one object on the scan's grid."""
        return self._find(object_id).mask.array()

    def result(self) -> tuple[np.ndarray, dict[int, SessionObject]]:
        """All objects in one label map.

        Returns:
            [i, j, k] uint8, or uint16 where an id is above 255: the id of the object at each
            voxel, 0 background; where objects overlap, the one added last. And the objects by id.
        """
        scene = self._history.present
        dtype = np.uint8 if max(scene.objects, default=0) < 256 else np.uint16
        ids = {key: key for key in scene.objects}
        return painted(scene, ids, self._shape, dtype), dict(scene.objects)

    # Objects.

    @_alone
    def add_object(
        self,
        name: str | None = None,
        *,
        class_: str | int | None = None,
        novel: bool | None = None,
    ) -> int:
        """Add an object without a voxel, and make it active.

        Args:
            name: for people; the class's name, or "object N".
            class_: name or id of a known structure; None for an anonymous object.
            novel: the zero-shot token: by default for anonymous objects, and for ids that the
                point branch was not trained with.

        Returns:
            Its id, which is also its value in `result`.

        Raises:
            UnknownClassError: with the nearest names.
            UsageError: a group of structures.
        """
        class_id = None if class_ is None else _one_class(class_, self._vocabulary)
        scene = self._history.present
        self._history.push(scene.added(self._made(scene, name, class_id, novel)))
        return scene.next_id

    @_alone
    def remove_object(self, object_id: int) -> None:
        """Take an object away."""
        self._editable(object_id)
        self._history.push(self._history.present.without(object_id))

    @_alone
    def rename(self, object_id: int, name: str) -> None:
        """Give an object another name."""
        self._push(replace(self._find(object_id), name=name))

    @_alone
    def lock(self, object_id: int, locked: bool = True) -> None:
        """Protect an object against every edit, its own and those of others."""
        self._push(replace(self._find(object_id), locked=locked))

    @_alone
    def recolour(self, object_id: int, colour: Colour) -> None:
        """Give an object another colour than that of its structure: RGB, each 0..255.

        Raises:
            UsageError: not a colour.
        """
        if not is_colour(colour):
            msg = f"{colour!r} is not a colour: three whole numbers 0..255, red, green and blue"
            raise UsageError(msg)
        self._push(replace(self._find(object_id), colour=colour))

    @_alone
    def activate(self, object_id: int) -> None:
        """Choose where clicks without an object go; not a step of the history."""
        self._history.present = self._history.present.activated(self._find(object_id).id)

    # Edits.

    @_alone
    def click(
        self,
        position: Sequence[float],
        positive: bool = True,
        *,
        space: Space,
        object_id: int | None = None,
        progress: Listener | None = None,
        cancel: threading.Event | None = None,
    ) -> Mask:
        """Click on the scan.

        Args:
            position: three numbers in the convention `space`.
            positive: "this is part of the object", or "this is not".
            space: "voxel" (of the scan), "ras" or "lps" (mm).
            object_id: None for the active one, or a new anonymous one where there is none.
            progress: told each window.
            cancel: set it to stop; CancelledError follows.

        Returns:
            The object's mask now.

        Raises:
            UsageError: outside the scan, no such object, or a locked one.
        """
        click = Click.at(position, positive, space, self._geometry)
        scene = self._history.present
        if object_id is None and scene.active is None:
            made = self._made(scene, None, None, None)
            scene = scene.added(made)
        else:
            made = self._editable(scene.active if object_id is None else object_id)
        return self._answered(scene, made.clicked(click), Watch(progress, cancel))

    @_alone
    def remove_click(
        self,
        object_id: int,
        index: int,
        *,
        progress: Listener | None = None,
        cancel: threading.Event | None = None,
    ) -> Mask:
        """Take back one click of an object, any of them; the others are answered again."""
        thing = self._editable(object_id)
        if not 0 <= index < len(thing.clicks):
            msg = f"object {object_id} has {len(thing.clicks)} clicks, and no number {index}"
            raise UsageError(msg)
        changed = thing.without_click(index)
        return self._answered(self._history.present, changed, Watch(progress, cancel))

    @_alone
    def set_initial_mask(self, object_id: int, mask: np.ndarray) -> None:
        """Start an object from a mask on the scan's grid; its clicks are dropped.

        Args:
            object_id: of the object.
            mask: [i, j, k], bool, or 0 and one other value.

        Raises:
            UsageError: another shape, or a map of several labels.
        """
        thing = self._editable(object_id)
        values = np.asarray(mask)
        if values.shape != self._shape:
            msg = f"the mask has shape {values.shape}, the scan {self._shape}"
            raise UsageError(msg)
        inside = values[values != 0]
        if len(inside) and inside.min() != inside.max():  # nan differs from itself
            msg = "the mask has several values: choose one label, as in labels == 5"
            raise UsageError(msg)
        changed = thing.started(Mask.of(values != 0))
        self._history.push(self._history.present.painted(changed, self._overlap))

    @_alone
    def add_labels(
        self, labels: np.ndarray, names: Mapping[int, str] | None = None
    ) -> dict[int, int]:
        """Make an object of every value of a label map; one step of the history.

        An object of the same name is started again from its new mask, unless it is locked.

        Args:
            labels: integers [i, j, k] on the scan's grid; 0 is background.
            names: of its values; those without one are called by their number. An object whose
                name is that of a structure has its class.

        Returns:
            Object id by value.

        Raises:
            UsageError: another shape, or no integers.
            InputError: a negative value.
        """
        if labels.shape != self._shape or labels.dtype.kind not in "iu":
            msg = f"a label map has integers in the shape of the scan, {self._shape}; not "
            msg += f"{labels.dtype} {labels.shape}"
            raise UsageError(msg)
        scene, made = self._history.present, dict[int, int]()
        masks = masks_of(labels)
        for value in masks:
            name = (names or {}).get(value) or f"label {value}"
            known = (o for o in scene if o.name == name and o.id not in made.values())
            old = next((thing for thing in known if not thing.locked), None)
            if old is None:
                old = self._made(scene, name, self._vocabulary.single(name), None)
                scene = scene.added(old)
            made[value] = old.id
        if made:
            begun = {object_id: masks[value] for value, object_id in made.items()}
            self._history.push(self._started(scene, begun))
        return made

    @_alone
    def brush(self, object_id: int, box: Slices, covered: np.ndarray, *, adds: bool = True) -> None:
        """Draw with a brush or an eraser; clicks are kept and start from here.

        Args:
            object_id: of the object.
            box: slices of the scan.
            covered: bool [box]: what the stroke passes over.
            adds: whether these voxels belong to the object from now on, or do not.
        """
        thing = self._editable(object_id)
        if not _fits(box, self._shape) or covered.shape != tuple(p.stop - p.start for p in box):
            msg = f"the box {box} with voxels {covered.shape} does not fit the scan {self._shape}"
            raise UsageError(msg)
        changed = thing.brushed(box, np.asarray(covered, bool), adds=adds)
        self._history.push(self._history.present.painted(changed, self._overlap))

    @_alone
    def reset(self, object_id: int | None = None) -> None:
        """Drop the clicks of an object, back to its start; None drops every object.

        What was erased, or another object took, comes back only where it is clicked.
        """
        if object_id is None:
            for thing in self._history.present:
                self._editable(thing.id)
            self._history.push(Scene(next_id=self._history.present.next_id))
            return
        changed = self._editable(object_id).unclicked()
        self._history.push(self._history.present.painted(changed, self._overlap))

    @_alone
    def run_automatic(
        self,
        classes: str | int | Iterable[str | int] = "everything",
        *,
        progress: Listener | None = None,
        cancel: threading.Event | None = None,
    ) -> tuple[int, ...]:
        """Segment classes; each one that is found becomes an object that can be edited.

        An object of such a class is started again from the new mask. A locked one stays, and so
        does one whose class is not found.

        Returns:
            Ids of the objects that were made or changed.
        """
        if self._automatic is None:
            msg = "this session has no automatic model"
            raise UsageError(msg)
        labels, ids = self._automatic(classes, progress=progress, cancel=cancel)
        found = masks_of(labels, ids)
        scene, begun = self._history.present, dict[int, Mask]()
        for class_id, mask in found.items():
            old = next((o for o in scene if o.class_id == class_id), None)
            if not mask or (old is not None and old.locked):
                continue
            if old is None:
                old = self._made(scene, None, class_id, None)
                scene = scene.added(old)
            begun[old.id] = mask
        if begun:
            self._history.push(self._started(scene, begun, automatic=True))
        return tuple(begun)

    @_alone
    def undo(self) -> bool:
        """Take back the last change of any object; False where there is none."""
        return self._history.undo()

    @_alone
    def redo(self) -> bool:
        """Do the last undone change again; False where there is none."""
        return self._history.redo()

    def prefetch(self, position: Sequence[float], *, space: Space) -> None:
        """Prepare the window under a cursor: a first click on the active object is a later one."""
        scene = self._history.present
        thing = None if scene.active is None else scene.objects[scene.active]
        named = thing.class_id if thing is not None and thing.by_name else None
        self._pointer.prefetch(Click.at(position, True, space, self._geometry).position, named)

    # Files.

    @_alone
    def save(self, path: Path | str) -> None:
        """Write objects, clicks, masks and history to one file (zip of JSON and bits)."""
        storage.save(Path(path), self._volume, self._history, self._overlap)

    @classmethod
    def load(
        cls,
        path: Path | str,
        volume: Volume,
        pointer: Pointer,
        automatic: Automatic | None = None,
        **options: Any,
    ) -> InteractiveSession:
        """Open a saved session on the same scan.

        Raises:
            InputError: not such a file, damaged, or of another scan.
        """
        history, overlap = storage.load(Path(path), volume)
        session = cls(volume, pointer, automatic, overlap=overlap, **options)
        session._history = history
        return session

    # How.

    @property
    def _shape(self) -> Triple:
        i, j, k = self._volume.array.shape
        return i, j, k

    @property
    def _geometry(self) -> Geometry:
        return self._volume.geometry

    def _find(self, object_id: int | None) -> SessionObject:
        objects = self._history.present.objects
        if object_id is None or object_id not in objects:
            there = ", ".join(map(str, objects)) or "none yet"
            msg = f"there is no object {object_id}: the session has {there}"
            raise UsageError(msg)
        return objects[object_id]

    def _editable(self, object_id: int | None) -> SessionObject:
        thing = self._find(object_id)
        if thing.locked:
            msg = f"object {thing.id} ({thing.name}) is locked: unlock it to change it"
            raise UsageError(msg)
        return thing

    def _made(
        self, scene: Scene, name: str | None, class_id: int | None, novel: bool | None
    ) -> SessionObject:
        if name is None and class_id is not None:
            name = self._vocabulary.by_id(class_id).name
        name = f"object {scene.next_id}" if name is None else name
        if novel is None:
            novel = class_id is None or class_id not in self._supported
        nothing = Mask.empty(self._shape)
        return SessionObject(scene.next_id, name, class_id, novel, nothing, nothing, nothing)

    def _started(
        self, scene: Scene, masks: Mapping[int, Mask], *, automatic: bool = False
    ) -> Scene:
        """Objects begun again from the masks of one label map, by object id."""
        # All are emptied first: what is replaced does not stand in the way of the rest.
        nothing = Mask.empty(self._shape)
        scene = scene.changed(*(scene.objects[i].started(nothing) for i in masks))
        for object_id, mask in masks.items():
            thing = scene.objects[object_id].started(mask, automatic=automatic)
            # One label a voxel: they do not overlap.
            scene = scene.painted(thing, self._overlap, apart=masks)
        return scene

    def _push(self, changed: SessionObject) -> None:
        self._history.push(self._history.present.changed(changed))

    def _answered(self, scene: Scene, thing: SessionObject, watch: Watch) -> Mask:
        """Ask the network about all clicks of an object and merge its answer with the base."""
        mask = thing.base
        fresh = thing.clicks[thing.settled :]
        if fresh:
            prompt = Prompt(
                thing.clicks, thing.class_id, thing.novel, thing.base, thing.settled, thing.by_name
            )
            with watch.timed("segmenting") as listen:
                answer = self._pointer.mask(prompt, listen)
            allowed = answer.known & ~thing.denied.read(answer.box)
            answer = replace(answer, mask=answer.mask & allowed, known=allowed)
            mask = merged(thing.base, answer, fresh, self._geometry.spacing)
        scene = scene.activated(thing.id).painted(replace(thing, mask=mask), self._overlap)
        self._history.push(scene)
        return scene.objects[thing.id].mask


def merged(
    base: Mask,
    answer: PointMask,
    clicks: Iterable[Click],
    spacing: tuple[float, float, float],
) -> Mask:
    """Alg. 1 in the box that the network spoke about; the base is unchanged outside it.

    Args:
        base: the object before its clicks.
        answer: of the network.
        clicks: of the object, those that the base does not know.
        spacing: of the scan, mm.
    """
    if not answer.mask.size:
        return base
    low = [part.start for part in answer.box]
    positive: list[Voxel] = []
    negative: list[Voxel] = []
    for click in clicks:
        i, j, k = (x - a for x, a in zip(click.voxel, low, strict=True))
        if click.positive:
            positive.append(_reached((i, j, k), answer.mask, spacing))
        else:
            negative.append((i, j, k))
    before = base.read(answer.box)
    after = refine(before, answer.mask, positive, negative, answer.known)
    return base.written(answer.box, after)


def _reached(voxel: Voxel, mask: np.ndarray, spacing: tuple[float, float, float]) -> Voxel:
    """The voxel itself, or the nearest one of the mask within reach."""
    if not all(0 <= x < n for x, n in zip(voxel, mask.shape, strict=True)) or mask[voxel]:
        return voxel
    size = np.array([int(REACH_MM / s) for s in spacing])
    low = np.maximum(np.array(voxel) - size, 0)
    part = mask[tuple(slice(a, v + s + 1) for a, v, s in zip(low, voxel, size, strict=True))]
    near = np.argwhere(part) + low
    if not len(near):
        return voxel
    distance = np.linalg.norm((near - voxel) * spacing, axis=1)
    if distance.min() > REACH_MM:
        return voxel
    i, j, k = near[distance.argmin()].tolist()
    return i, j, k


def _fits(box: Slices, shape: Triple) -> bool:
    """Whether a box is whole voxels of the scan: no steps, no open ends."""
    return all(
        isinstance(part.start, int)
        and isinstance(part.stop, int)
        and part.step in (None, 1)
        and 0 <= part.start <= part.stop <= n
        for part, n in zip(box, shape, strict=True)
    )


def _one_class(name: str | int, vocabulary: anatomy.Vocabulary) -> int:
    ids = vocabulary.resolve([name])
    if len(ids) != 1:
        parts = first_of([anatomy.by_id(i).name for i in ids], 4)
        msg = f"{name!r} is {len(ids)} structures ({parts}): choose one for an object"
        raise UsageError(msg)
    return ids[0]
