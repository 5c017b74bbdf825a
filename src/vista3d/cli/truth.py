"""A label map that results are compared with, in the class ids of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vista3d.anatomy import Vocabulary
    from vista3d.volume import Volume


def class_ids(labels: Volume, vocabulary: Vocabulary) -> NDArray[np.integer]:
    """Class ids [i, j, k] of a label map with uint16 values.

    Where its file names its values, as TotalSegmentator's and our own do, by these names: a value
    whose name is no structure is background. Else the values are class ids.
    """
    names = labels.meta.labels
    if not names:
        return labels.array
    table = np.zeros(np.iinfo(np.uint16).max + 1, np.uint16)
    for value, name in names.items():
        table[value] = vocabulary.single(name) or 0
    return np.asarray(table[labels.array])
