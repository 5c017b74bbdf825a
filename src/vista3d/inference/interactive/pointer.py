"""The seam between a session, which keeps objects, and the network, which answers clicks."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vista3d.inference.interactive.clicks import Click

if TYPE_CHECKING:
    from vista3d.inference.interactive.masks import Mask
from vista3d.inference.windows import Slices


@dataclass(frozen=True, eq=False)
class Prompt:
    """All that decides the network's answer about one object.

    Attributes:
        clicks: in the order they were made.
        class_id: global id, or None for an anonymous object.
        novel: the zero-shot token instead of the supported one.
        base: the object as it was before its first click; where a window has no positive click,
            it tells the network where the object is.
        settled: how many clicks the base knows already.
        by_name: whether the class, where the model can be prompted with it, is asked as well; it
            then takes the place of the base in what is believed.
    """

    clicks: tuple[Click, ...]
    class_id: int | None = None
    novel: bool = False
    base: Mask | None = None
    settled: int = 0
    by_name: bool = False

    @property
    def key(self) -> Hashable:
        """Equal for prompts that have the same answer."""
        return self.clicks, self.class_id, self.novel, self.base, self.settled, self.by_name


@dataclass(frozen=True, eq=False)
class PointMask:
    """What the network says about one object.

    Attributes:
        box: region of the scan's grid that it speaks about.
        mask: bool [box]: logit above 0.
        known: bool [box]: seen by at least one window; nothing is said about the others.
    """

    box: Slices
    mask: np.ndarray
    known: np.ndarray


class Pointer(Protocol):
    """Answers clicks."""

    def mask(self, prompt: Prompt, listen: Callable[[int, int], None]) -> PointMask:
        """Segment one object: a pure function of the prompt.

        Args:
            prompt: what was clicked.
            listen: told (done, total) windows; may raise to stop.
        """

    def prefetch(self, position: tuple[float, float, float], class_id: int | None) -> None:
        """Prepare for a first click at this voxel of the scan.

        Args:
            position: where.
            class_id: of the object that would be clicked, if its class is asked as well.
        """
