"""The picture of painted lesions: the axial plane through each, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from vista3d.results.picture.pairs import Pair
    from vista3d.training.synthetic.lesions import Lesion
    from vista3d.volume import Volume

MOST = 12
"""Lesions of a picture; more would not fit a screen."""
WIDTH_MM = 84.0
"""Of the square around a lesion: the largest are 100 mm, most below 40."""
_WINDOWS = {
    "liver": (-60, 200),
    "kidney": (-100, 300),
    "lung": (-1350, 200),
    "pancreas": (-90, 190),
    "bone": (-150, 650),
}
"""HU that show a lesion in its organ."""


def draw_lesions(before: Volume, after: NDArray[Any], lesions: Sequence[Lesion]) -> Image.Image:
    """A row for each lesion, in the order in which they were painted.

    Args:
        before: the scan without them, HU.
        after: (i, j, k) HU with them.
        lesions: what was painted.
    """
    from vista3d.results.picture.pairs import draw_pairs

    left_out = len(lesions) - MOST
    note = f"and {left_out} more lesions (the record names them)" if left_out > 0 else ""
    changed = painted(before, after)
    pairs = [lesion_pair(before, after, changed, lesion) for lesion in lesions[:MOST]]
    return draw_pairs(pairs, note=note)


def painted(before: Volume, after: NDArray[Any]) -> NDArray[np.uint8]:
    """1 where a voxel was painted. Not by class: masses of the kidney keep the kidney's."""
    return np.asarray(after != before.array, np.uint8)


def lesion_pair(
    before: Volume, after: NDArray[Any], changed: NDArray[np.uint8], lesion: Lesion
) -> Pair:
    """The square around a lesion; all that was painted in it (`changed`) is outlined."""
    from vista3d.results.picture.pairs import Pair
    from vista3d.results.picture.planes import axial_square

    square = axial_square(changed, replace(before, array=after), lesion.centre, WIDTH_MM)
    bare = axial_square(np.zeros_like(changed), before, lesion.centre, WIDTH_MM)
    return Pair(
        f"{lesion.kind} ({lesion.organ}), {lesion.diameter_mm:.0f} mm, {lesion.mean_hu:.0f} HU",
        bare,
        square,
        _WINDOWS[lesion.organ],
    )
