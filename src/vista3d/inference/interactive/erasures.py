"""What was taken from an object, and what its clicks gave back.

Nothing is struck off when a click gives voxels back: which are denied is worked out from the clicks
that there are, so that a click that is taken back leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from vista3d.inference.interactive.clicks import Click
from vista3d.inference.interactive.masks import Mask
from vista3d.inference.windows import Slices, Triple
from vista3d.volume import components


@dataclass(frozen=True)
class Erasure:
    """Voxels that a brush or another object took away.

    Attributes:
        mask: not empty.
        clicks: how many the object had by then: only later ones give voxels back.
    """

    mask: Mask
    clicks: int


Erasures = tuple[Erasure, ...]
"""Of one object, by ascending number of clicks, one for each number."""


def still_denied(erasures: Erasures, clicks: Sequence[Click], shape: Triple) -> Mask:
    """What the network may not give back.

    Args:
        erasures: of the object.
        clicks: of the object; a positive one gives back the 26-connected component that it lies in
            of what had been taken away by then.
        shape: of the scan.
    """
    left, done = Mask.empty(shape), 0
    for erasure in erasures:
        left = _given_back(left, clicks[done : erasure.clicks])
        left = left.with_(erasure.mask.box, erasure.mask.crop())
        done = erasure.clicks
    return _given_back(left, clicks[done:])


def erased(erasures: Erasures, mask: Mask, clicks: int) -> Erasures:
    """With the voxels of a mask, taken from an object with so many clicks."""
    return _joined((*erasures, Erasure(mask, clicks)))


def drawn(erasures: Erasures, box: Slices, covered: np.ndarray) -> Erasures:
    """Without the voxels set in `covered` [box], which somebody drew."""
    return _joined(replace(e, mask=e.mask.without(box, covered)) for e in erasures)


def click_removed(erasures: Erasures, index: int) -> Erasures:
    """The same for an object without its click number `index`."""
    return _joined(replace(e, clicks=e.clicks - (e.clicks > index)) for e in erasures)


def _joined(erasures: Iterable[Erasure]) -> Erasures:
    """One for each number of clicks; they come in ascending order."""
    out: list[Erasure] = []
    for erasure in erasures:
        if not erasure.mask:
            continue
        if out and out[-1].clicks == erasure.clicks:
            mask = out[-1].mask.with_(erasure.mask.box, erasure.mask.crop())
            out[-1] = replace(erasure, mask=mask)
        else:
            out.append(erasure)
    return tuple(out)


def _given_back(mask: Mask, clicks: Iterable[Click]) -> Mask:
    for click in clicks:
        if click.positive and mask:
            mask = mask.without(mask.box, touched(mask, click.voxel))
    return mask


def touched(mask: Mask, voxel: Triple) -> np.ndarray:
    """Bool [mask.box]: the 26-connected component that a voxel of the scan lies in, if any."""
    values = mask.crop()
    place = tuple(x - part.start for x, part in zip(voxel, mask.box, strict=True))
    inside = all(0 <= x < n for x, n in zip(place, values.shape, strict=True))
    if not inside or not values[place]:
        return np.zeros_like(values)
    parts = components(values)
    return np.asarray(parts == parts[place])
