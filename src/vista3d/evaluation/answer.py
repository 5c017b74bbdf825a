"""What a protocol hands over to be scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vista3d.evaluation.case import Target


@dataclass(frozen=True, eq=False)
class Answer:
    """The mask of one structure after some clicks.

    Attributes:
        target: the structure.
        clicks: the budget: how many clicks were allowed; 0 for automatic results.
        used: how many were made. Fewer than allowed where nothing wrong was left, and more in the
            released protocol of a click per window.
        mask: bool [i, j, k] on the scan's own grid.
    """

    target: Target
    clicks: int
    used: int
    mask: np.ndarray
