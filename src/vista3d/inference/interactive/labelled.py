"""The objects of a session as one label map in global class ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import DTypeLike

from vista3d import anatomy
from vista3d.inference.interactive.scene import SessionObject

FIRST_NEW = 512
"""Objects without a class of their own get ids from here: above every row of the class table."""


def structures_of(objects: Iterable[SessionObject]) -> dict[int, anatomy.Structure]:
    """What each object is called in results, by object id.

    The first object of a class takes the class's id and name; a class that only a fine-tuned model
    has is called as its object is. Anonymous objects, and further ones
    of the same class, become new structures with ids from 512.
    """
    taken: set[int] = set()
    out = {}
    for thing in objects:
        if thing.class_id is not None and thing.class_id not in taken:
            taken.add(thing.class_id)
            known = thing.class_id in anatomy.STRUCTURES
            out[thing.id] = (
                anatomy.by_id(thing.class_id)
                if known
                else anatomy.new_structure(thing.class_id, thing.name)
            )
        else:
            out[thing.id] = anatomy.new_structure(FIRST_NEW + thing.id, thing.name)
    return out


def class_labels(
    objects: Iterable[SessionObject], shape: tuple[int, int, int]
) -> tuple[np.ndarray, list[anatomy.Structure]]:
    """One label map of all objects; where they overlap, the one added last.

    Returns:
        [i, j, k] uint16 of structure ids, 0 background; and the structures.
    """
    listed = list(objects)
    structures = structures_of(listed)
    ids = {key: structure.id for key, structure in structures.items()}
    return painted(listed, ids, shape), list(structures.values())


def painted(
    objects: Iterable[SessionObject],
    values: Mapping[int, int],
    shape: tuple[int, int, int],
    dtype: DTypeLike = np.uint16,
) -> np.ndarray:
    """Values by object id as a label map [i, j, k]; the object added last is on top."""
    out = np.zeros(shape, dtype)
    for thing in objects:
        out[thing.mask.box][thing.mask.crop()] = values[thing.id]
    return out
