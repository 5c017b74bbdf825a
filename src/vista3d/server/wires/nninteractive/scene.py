"""One client's object on one image: nnInteractive's words on a session of the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vista3d.errors import UsageError, Vista3DError
from vista3d.inference.interactive import SessionObject
from vista3d.server.exports import find_object
from vista3d.server.service import Service
from vista3d.server.view import Box, changed_box, labels_in
from vista3d.server.wires.working import Point, forget


@dataclass(frozen=True, eq=False)
class Change:
    """What an interaction did.

    Attributes:
        ran: whether anything was computed or undone.
        box: that holds every voxel that changed; None where none did.
        values: uint8 [box], the object there now.
    """

    ran: bool
    box: Box | None = None
    values: np.ndarray | None = None


class Scene:
    """An image with one object; used by one request at a time.

    Args:
        service: of the server.
        study: of the image.
        object_class: what the object is; None for anything.
    """

    def __init__(self, service: Service, study: str, object_class: str | None) -> None:
        self._service, self.study, self._class = service, study, object_class
        self.session = service.sessions.create(study)
        self.shape: tuple[int, int, int] = service.studies.open(study).geometry.shape
        self._queued: list[Point] = []
        self._steps = 0
        try:
            self._object = self._new_object()
        except BaseException:
            forget(service, self.session)
            raise

    def click(self, position: Sequence[float], positive: bool, *, run: bool) -> Change:
        """Add a point, now or with the next prediction."""
        if len(position) != 3:
            msg = f"a point has three coordinates, not {len(position)}"
            raise UsageError(msg)
        if any(not -0.5 <= x <= n - 0.5 for x, n in zip(position, self.shape, strict=True)):
            msg = f"the point {list(position)} is outside the image {self.shape}"
            raise UsageError(msg)
        i, j, k = position
        self._queued.append(((i, j, k), positive))
        if not run:
            return Change(False)
        try:
            return self.predict()
        except Vista3DError:
            del self._queued[-1:]  # the client counts it as not made, and will try again
            raise

    def predict(self) -> Change:
        """Answer the points that wait."""
        if not self._queued:
            return Change(False)
        before = self._now()
        while self._queued:
            where, positive = self._queued[0]
            self._service.click(
                self.session, where, positive, space="voxel", object_id=self._object
            )
            del self._queued[0]
            self._steps += 1
        return self._change(before)

    def start(self, mask: np.ndarray) -> Change:
        """Begin from a mask; clicks so far are dropped, as in nnInteractive."""
        if mask.shape != self.shape:
            msg = f"the segmentation has shape {mask.shape}, the image {self.shape}"
            raise UsageError(msg)
        self._queued.clear()
        self._service.set_mask(self.session, self._object, mask != 0)
        self._steps += 1
        # The client has the mask already, and writes only what it is told to.
        return Change(False)

    def undo(self) -> Change:
        """Take back the last interaction; as many of them as there were."""
        if self._queued:
            self._queued.pop()
            return Change(True)
        if not self._steps:
            return Change(False)
        before = self._now()
        self._service.edit(self.session, lambda s: s.undo())
        self._steps -= 1
        return self._change(before)

    def reset(self) -> None:
        """A new object in place of this one."""
        self._queued.clear()
        self._steps = 0
        self._service.edit(self.session, lambda s: s.reset())
        self._object = self._new_object()

    def close(self) -> None:
        """Delete the session and the image."""
        forget(self._service, self.session)
        self._service.studies.remove(self.study)

    def _new_object(self) -> int:
        edit = self._service.add_object(self.session, None, self._class)
        return edit.view.objects[-1].id

    def _now(self) -> SessionObject:
        with self._service.sessions.lease(self.session) as held:
            return find_object(held.view, self._object)

    def _change(self, before: SessionObject) -> Change:
        now = self._now()
        box = changed_box([before], [now])
        values = None if box is None else (labels_in([now], box) != 0).astype(np.uint8)
        return Change(True, box, values)
