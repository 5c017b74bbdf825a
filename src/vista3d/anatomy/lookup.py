"""From what people type to global class ids."""

from __future__ import annotations

import colorsys
import difflib
import functools
from collections.abc import Callable, Collection, Iterable, Mapping

from vista3d.anatomy.table import (
    MR_BODY,
    MR_BRAIN,
    CodedConcept,
    Modality,
    Structure,
    structures,
)
from vista3d.errors import UnknownClassError, UsageError

_EVERYTHING = "everything"
_NEAR, _SUGGESTED = 5, 3


def key_of(text: str) -> str:
    """Case, underscores, dashes and repeated spaces do not matter."""
    return " ".join(text.lower().replace("_", " ").replace("-", " ").split())


@functools.cache
def _names() -> dict[str, int]:
    """Every name and alias -> id; a name of the table beats an alias."""
    names: dict[str, int] = {}
    for structure in structures().values():
        for alias in structure.aliases:
            names.setdefault(key_of(alias), structure.id)
    for structure in structures().values():
        names[key_of(structure.name)] = structure.id
    return names


@functools.cache
def groups() -> dict[str, tuple[int, ...]]:
    """Group name -> promptable ids of the CT model in it (superclasses and untrained left out)."""
    members: dict[str, list[int]] = {}
    for structure in structures().values():
        if structure.source == "CT" and structure.trained and not structure.parts:
            members.setdefault(structure.group, []).append(structure.id)
    return {group: tuple(ids) for group, ids in members.items()}


@functools.cache
def collections() -> Mapping[str, tuple[int, ...]]:
    """What one word stands for: superclasses first, then groups, singular and plural."""
    found: dict[str, tuple[int, ...]] = {}
    for group, ids in groups().items():
        found[key_of(group)] = ids
    for structure in structures().values():
        if structure.parts:
            found[key_of(structure.name)] = structure.parts
    # "vertebrae" and "ribs" are groups; people also type the singular and the plural of others.
    for singular, plural in (
        ("rib", "ribs"), ("vertebra", "vertebrae"), ("kidney", "kidneys"), ("lung", "lungs"),
        ("bone", "bones"), ("muscle", "muscles"), ("vessel", "vessels"),
    ):  # fmt: skip
        for one, other in ((singular, plural), (plural, singular)):
            if one in found:
                found.setdefault(other, found[one])
    return found


def by_id(class_id: int) -> Structure:
    """The structure of a global id.

    Raises:
        UnknownClassError: no such id.
    """
    try:
        return structures()[class_id]
    except KeyError:
        msg = f"class id {class_id} does not exist: ids are 1..{max(structures())}"
        raise UnknownClassError(msg) from None


def nearest(query: str, among: Collection[int] | None = None) -> list[str]:
    """What an unknown name may stand for: each class or collection once, in its own words.

    Args:
        query: what somebody typed.
        among: ids to suggest; of collections one suffices. None: all that any model was trained on.
    """
    wanted = {s.id for s in structures().values() if s.trained} if among is None else among
    meant = {**{name: (i,) for name, i in _names().items()}, **collections()}
    found: dict[tuple[int, ...], str] = {}
    for name in difflib.get_close_matches(key_of(query), meant, n=len(meant), cutoff=0.6):
        ids = meant[name]
        found.setdefault(ids, name if name in collections() else by_id(ids[0]).name)
    # Chosen from the nearest of all: who asks for a left mandible does not mean a left rib.
    near = list(found.items())[:_NEAR]
    return [name for ids, name in near if any(i in wanted for i in ids)][:_SUGGESTED]


def hint(query: str) -> str:
    """What to do about an unknown name, where no model is known."""
    near = nearest(query)
    return f"did you mean {', '.join(near)}?" if near else "see `vista3d classes`"


def find(query: str | int, hint: Callable[[str], str] = hint) -> tuple[Structure, ...]:
    """What a prompt means: an id, a name, an alias, a superclass or a group.

    Args:
        query: the prompt.
        hint: what to do about a name that is none.

    Raises:
        UnknownClassError: nothing of that name; the message ends with the hint.
    """
    if isinstance(query, int) or query.strip().isdigit():
        structure = by_id(int(query))
        return tuple(by_id(i) for i in structure.parts) or (structure,)
    key = key_of(query)
    if key in collections():
        return tuple(by_id(i) for i in collections()[key])
    if key in _names():
        return (by_id(_names()[key]),)
    msg = f"unknown class {query!r}: {hint(query)}"
    raise UnknownClassError(msg)


def resolve(
    classes: Iterable[str | int] | str | int, hint: Callable[[str], str] = hint
) -> tuple[int, ...]:
    """Prompts -> global ids, groups and superclasses expanded, each id once, order kept.

    Args:
        classes: names, ids, groups.
        hint: as of `find`.

    Raises:
        UnknownClassError: an unknown name, or a class that no model was ever trained on.
    """
    prompts = [classes] if isinstance(classes, str | int) else list(classes)
    ids: dict[int, None] = {}
    for prompt in prompts:
        if isinstance(prompt, str) and key_of(prompt) == _EVERYTHING:
            ids.update(dict.fromkeys(everything()))
            continue
        for structure in find(prompt, hint):
            if not structure.trained:
                msg = (
                    f"class {structure.name!r} (id {structure.id}) is named in the label "
                    "dictionary but was never trained: leave it out"
                )
                raise UnknownClassError(msg)
            ids[structure.id] = None
    return tuple(ids)


def everything(modality: Modality = "ct") -> tuple[int, ...]:
    """Ids of the "everything" prompt of the published models, ascending (facts 2.3 and 7).

    Args:
        modality: "ct": 117 ids; of the CT+MR model also "mr": 50, and "mr-brain": 132.

    Raises:
        UsageError: another modality.
    """
    if modality == "ct":
        return tuple(s.id for s in structures().values() if s.everything)
    lists: Mapping[str, tuple[int, ...]] = {"mr": MR_BODY, "mr-brain": MR_BRAIN}
    if modality not in lists:
        msg = f"unknown modality {modality!r}: one of ct, {', '.join(lists)}"
        raise UsageError(msg)
    return lists[modality]


def search(text: str, among: Iterable[Structure] | None = None) -> list[Structure]:
    """Structures whose name, alias or group contains `text`, or whose id it is; never raises.

    Args:
        text: what somebody types.
        among: where to look; None: the table.
    """
    key = key_of(text)
    known = structures().values() if among is None else among
    if key.isdigit():
        return [s for s in known if key == str(s.id)]
    return [s for s in known if any(key in key_of(t) for t in (s.name, s.group, *s.aliases))]


@functools.cache
def mirror(class_id: int) -> int:
    """The same structure on the other side, or itself where it has no partner."""
    structure = by_id(class_id)
    if not structure.laterality:
        return class_id
    other = {"left": "right", "right": "left"}[structure.laterality]
    partner = " ".join(
        other if word == structure.laterality else word for word in structure.name.split()
    )
    return _names().get(key_of(partner), class_id)


RIGHT = ("liver", "gallbladder", "inferior vena cava", "superior vena cava")
LEFT = ("spleen", "stomach", "heart")
"""Organs without a partner, on one side of the midline in nearly everybody."""


@functools.cache
def one_sided() -> frozenset[int]:
    """Ids of `RIGHT` and `LEFT`: a picture that shows one of them must not be mirrored."""
    return frozenset(resolve([*RIGHT, *LEFT]))


def dataset_ids(labels: Mapping[str, int]) -> dict[int, int]:
    """Local label values -> global ids by name; names that mean no single structure are left out.

    Args:
        labels: name -> local value, as in nnU-Net's `dataset.json`.
    """
    names = _names()
    return {value: names[key_of(name)] for name, value in labels.items() if key_of(name) in names}


def described(items: Iterable[int | Structure]) -> dict[int, Structure]:
    """Structures by id, in the given order; ids are looked up, structures are taken as they are.

    Raises:
        UnknownClassError: an id that the table does not have.
    """
    found = (by_id(item) if isinstance(item, int) else item for item in items)
    return {structure.id: structure for structure in found}


def new_structure(class_id: int, name: str) -> Structure:
    """A structure that no table has, such as a lesion that somebody clicked.

    Args:
        class_id: above every id of the table.
        name: for people; control characters, which would break file headers, become spaces.
    """
    clean = " ".join("".join(c if c.isprintable() else " " for c in name).split()) or "unnamed"
    # Steps of the golden angle around the colour circle: neighbours in number differ in hue.
    hue = (class_id * 0.381966) % 1
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.75, 0.95))
    return Structure(
        id=class_id,
        name=clean,
        group="",
        laterality="",
        category=CodedConcept("85756007", "SCT", "Tissue"),
        type=None,
        modifier=None,
        colour=(red, green, blue),
        aliases=(),
        trained=False,
        parts=(),
        special=False,
        everything=False,
        source="",
    )
