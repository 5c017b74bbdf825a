"""What the labels of a data set mean: "1:pancreas,2:new:my tumour"."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from vista3d.anatomy import Vocabulary
from vista3d.anatomy.vocabulary import FIRST_OWN
from vista3d.errors import UnknownClassError, UsageError
from vista3d.training.data.layouts import Listing
from vista3d.training.data.mapping import nearest

SYNTAX = (
    "write LABEL:CLASS for a known class and LABEL:new:NAME for a new one, separated by commas, as "
    "in '1:pancreas,2:new:my tumour'"
)


@dataclass(frozen=True)
class Target:
    """A label that is learned.

    Attributes:
        label: its name in the data set, or its value as text.
        class_id: row of the class table.
        name: of a class that only this model has; "" for one of the table of structures.
    """

    label: str
    class_id: int
    name: str = ""


def parse_targets(text: str, vocabulary: Vocabulary, rows: int) -> tuple[Target, ...]:
    """Read a `--map`.

    Args:
        text: see SYNTAX; a name that a fine-tuned model has already goes on with its row.
        vocabulary: of the model to start from.
        rows: of its class table.

    Raises:
        UsageError: not of that form, a label or a class twice, a new name that cannot be one, no
            free row left.
        UnknownClassError: a class that does not exist.
    """
    targets: list[Target] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        label, _, meaning = (piece.strip() for piece in part.partition(":"))
        if not label or not meaning:
            msg = f"--map {part!r}: {SYNTAX}"
            raise UsageError(msg)
        kind, _, name = (piece.strip() for piece in meaning.partition(":"))
        if kind == "new":
            taken = {target.class_id for target in targets} | set(vocabulary.own)
            new = _new(label, name, vocabulary, rows, taken)
            twin = next((t for t in targets if t.name.lower() == new.name.lower()), new)
            targets.append(replace(new, class_id=twin.class_id))
        else:
            targets.append(_known(label, meaning, vocabulary))
    for kind in ("label", "class_id"):
        values = [getattr(target, kind) for target in targets]
        if len(set(values)) < len(values):
            msg = f"--map {text!r} names a label or a class twice: {SYNTAX}"
            raise UsageError(msg)
    if not targets:
        msg = f"--map is empty: {SYNTAX}"
        raise UsageError(msg)
    return tuple(targets)


def only_named(listing: Listing, targets: Iterable[Target]) -> dict[str, int | None]:
    """What the labels of a data set mean where a map names some: all others are background.

    Raises:
        UsageError: a label that the data set does not have.
    """
    asked = {target.label: target.class_id for target in targets}
    values = {name: str(value) for name, value in listing.labels.items()}
    for label in asked:
        # A list without names says nothing of which values there are.
        if not (label in values or label in values.values() or (not values and label.isdigit())):
            msg = f"--map: {listing.file} has no label {label!r}: " + nearest(
                label, [*values, *values.values()]
            )
            raise UsageError(msg)
    others = {name: None for name, value in values.items() if not {name, value} & asked.keys()}
    return {**asked, **others}


def _known(label: str, name: str, vocabulary: Vocabulary) -> Target:
    try:
        found = vocabulary.resolve(int(name) if name.isdigit() else name)
    except UnknownClassError as error:
        msg = f"{error}; for a class that no list has, write {label}:new:{name}"
        raise UnknownClassError(msg) from None
    if len(found) != 1:
        msg = f"--map {label}:{name} stands for {len(found)} classes: map each label to one"
        raise UsageError(msg)
    own = vocabulary.own.get(found[0])
    return Target(label, found[0], "" if own is None else own.name)


def _new(label: str, name: str, vocabulary: Vocabulary, rows: int, taken: set[int]) -> Target:
    name = " ".join(name.split())
    if not name or name.isdigit() or not name.isprintable():
        msg = f"--map {label}:new:{name}: a new class needs a name that is no number; {SYNTAX}"
        raise UsageError(msg)
    try:
        (known, *_) = vocabulary.resolve(name)
    except UnknownClassError:
        free = next((row for row in range(FIRST_OWN, rows) if row not in taken), None)
        if free is None:
            msg = f"no row of the class table is left for {name!r}: its {rows} are taken"
            raise UsageError(msg) from None
        return Target(label, free, name)
    if known in vocabulary.own:
        return Target(label, known, vocabulary.own[known].name)
    msg = f"--map {label}:new:{name}: that is a known class, write {label}:{name}"
    raise UsageError(msg)
