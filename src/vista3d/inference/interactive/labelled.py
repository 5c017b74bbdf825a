"""The objects of a session as one label map in global class ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from vista3d import anatomy
from vista3d.inference.interactive.scene import SessionObject

if TYPE_CHECKING:
    from vista3d.results.dicom_source import Maker, Makers

FIRST_NEW = 512
"""Objects without a class of their own get ids from here: above every row of the class table."""


def structures_of(objects: Iterable[SessionObject]) -> dict[int, anatomy.Structure]:
    """What each object is called in results, by object id.

    The first object of a class takes the class's id and codes. Anonymous objects, further ones of
    the same class, and classes that only a fine-tuned model has become new structures, those
    without a class id from 512. Names and chosen colours are the objects' own.
    """
    taken: set[int] = set()
    out = {}
    for thing in objects:
        number = FIRST_NEW + thing.id
        if thing.class_id is not None and thing.class_id not in taken:
            number = thing.class_id
            taken.add(number)
        structure = anatomy.new_structure(number, thing.name)
        if number in anatomy.STRUCTURES:
            structure = replace(anatomy.by_id(number), name=structure.name)
        if thing.colour is not None:
            structure = replace(structure, colour=thing.colour)
        out[thing.id] = structure
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


def makers_of(objects: Iterable[SessionObject]) -> Makers:
    """What DICOM results say of how each object was made, by structure id."""
    listed = list(objects)
    structures = structures_of(listed)
    return {structures[thing.id].id: _maker(thing) for thing in listed}


def _maker(thing: SessionObject) -> Maker:
    if thing.clicks:
        return "semiautomatic"
    if not thing.computed:
        return "manual"
    return "automatic" if thing.automatic else "semiautomatic"


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
