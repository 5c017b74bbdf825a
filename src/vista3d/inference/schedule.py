"""Which tiles can be labelled after which windows, and how many planes of features that needs.

Known before any work starts, so that the memory of a case is known too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from vista3d.inference.blending import WindowPlan
from vista3d.inference.tiles import Tile
from vista3d.inference.windows import Triple


@dataclass(frozen=True, eq=False)
class Round:
    """Run `starts`, label `tiles`, then forget the features of planes before `first`."""

    starts: tuple[Triple, ...]
    tiles: tuple[Tile, ...]
    first: int


@dataclass(frozen=True, eq=False)
class Schedule:
    """The rounds of a case.

    Attributes:
        rounds: one per row of windows.
        first: plane that the first round needs first.
        planes: of features held at once, at most.
    """

    rounds: tuple[Round, ...]
    first: int
    planes: int


def make_schedule(plan: WindowPlan, tiles: list[Tile]) -> Schedule:
    """Label every tile as soon as its features are final.

    Tiles between windows that were all skipped have no features: they are left out, and stay
    background.
    """
    axis, size = plan.axis, plan.grid.shape[plan.axis]
    touched = np.zeros(size, bool)
    for start in plan.starts:
        touched[plan.grid.inside(start)[0][axis]] = True
    kept = [tile for tile in tiles if touched[tile.source[axis]].any()]
    waiting = deque(sorted(kept, key=lambda tile: tile.source[axis].stop))
    begin = min([int(touched.argmax()), *(tile.source[axis].start for tile in kept)])
    rounds, planes, first = [], 1, begin
    for starts, final in plan.rows():
        reached = max(plan.grid.inside(start)[0][axis].stop for start in starts)
        ready = []
        while waiting and waiting[0].source[axis].stop <= final:
            ready.append(waiting.popleft())
        planes = max(planes, max([reached, *(t.source[axis].stop for t in ready)]) - first)
        # Tiles may reach back; planes beyond `final` are still being added to.
        first = min([final, *(tile.source[axis].start for tile in waiting)])
        # Fortran-ordered results are filled plane by plane.
        ready.sort(key=lambda tile: tuple(part.start for part in reversed(tile.target)))
        rounds.append(Round(starts, tuple(ready), first))
    return Schedule(tuple(rounds), begin, planes)
