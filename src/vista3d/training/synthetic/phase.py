"""The contrast phase of a scan, read from its vessels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vista3d.phantom.tissue import Phase

AORTA, LIVER = 6, 1

SMALLEST = 50
"""Voxels from which a median is trusted."""


def contrast_phase(hu: NDArray[np.generic], labels: NDArray[np.integer]) -> Phase:
    """The contrast phase, from the aorta, or from the liver where there is none.

    An aorta of 40 HU is native, of 110 to 180 portal venous, above 200 arterial (sources: see
    `phantom.tissue`). A liver above 80 HU has been enhanced.
    """
    levels: tuple[tuple[int, tuple[tuple[Phase, float], ...]], ...] = (
        (AORTA, (("arterial", 200), ("portal venous", 85))),
        (LIVER, (("portal venous", 80),)),
    )
    for class_id, phases in levels:
        inside = labels == class_id
        if np.count_nonzero(inside) >= SMALLEST:
            median = float(np.median(hu[inside].astype(np.float32)))
            return next((phase for phase, level in phases if median > level), "native")
    return "native"
