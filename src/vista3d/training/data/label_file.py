"""Label files of a case: on the grid of its scan, in whole numbers from 0, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from vista3d import volume as vol
from vista3d.errors import InputError
from vista3d.training.data.case import Case


def read_label_file(
    case: Case, path: Path, grid: vol.Geometry | None, dtype: DTypeLike = np.uint32
) -> vol.Volume:
    """A label map of a case; its values as the file has them.

    Args:
        case: for messages.
        path: of the label map.
        grid: of the case's scan; None where it has none.
        dtype: integers that hold every value.

    Raises:
        InputError, GeometryError: as `vista3d.volume.read_label_map`, with the name of the case.
    """
    try:
        return vol.read_label_map(path, grid, dtype)
    except InputError as error:
        msg = (
            f"{case.source.name} {case.name}: {error}. `vista3d data check` lists all such cases "
            "and says how to repair them"
        )
        raise type(error)(msg) from error
