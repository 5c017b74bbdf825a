"""What an operator may choose for the wires."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from vista3d.server.errors import StartError

_WORLD = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Letter -> RAS axis and sign: where the index of an array axis grows to."""


@dataclass(frozen=True)
class Options:
    """Of the wires.

    Attributes:
        allow_urls: prefixes of addresses that scans may be fetched from (NIM); none by default,
            because the server would fetch what only it can reach.
        axes: where the three axes of nnInteractive's arrays point, as that wire does not say it:
            "SPL" for arrays [k, j, i] of scans in DICOM order, as 3D Slicer and ITK readers give;
            "RAS" for arrays [i, j, k] of RAS NIfTI files.
        object_class: what nnInteractive's clicks segment; None for anything, as its own model does.
        leases: nnInteractive clients at once.
    """

    allow_urls: tuple[str, ...] = ()
    axes: str = "SPL"
    object_class: str | None = None
    leases: int = 16

    def __post_init__(self) -> None:
        directions(self.axes)


def directions(axes: str) -> np.ndarray:
    """Three letters -> [3, 3], columns are the RAS directions of the array's axes.

    Raises:
        StartError: not one letter of each of RL, AP, SI.
    """
    if sorted(_WORLD[letter][0] for letter in axes if letter in _WORLD) != [0, 1, 2]:
        known = ", ".join("".join(one) for one in list(product("RL", "AP", "SI"))[:3])
        msg = f"axes {axes[:20]!r}: one letter of each pair RL, AP, SI, such as SPL, {known}"
        raise StartError(msg)
    out = np.zeros((3, 3))
    for column, letter in enumerate(axes):
        row, sign = _WORLD[letter]
        out[row, column] = sign
    return out
