"""Data sets as training reads them -> cases as evaluation takes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from vista3d import anatomy
from vista3d.anatomy.lookup import key_of
from vista3d.errors import UsageError
from vista3d.evaluation.case import EvaluationCase, Target
from vista3d.evaluation.part import Part
from vista3d.training.data.case import Case
from vista3d.training.data.cases import dataset_cases, rules_for
from vista3d.training.data.label_table import LabelTable, label_table
from vista3d.training.data.layouts import Listing, distinct, find_listings
from vista3d.training.data.mapping import Rules
from vista3d.training.data.splits import Split
from vista3d.training.finetuning.targets import only_named, parse_targets

if TYPE_CHECKING:
    from vista3d.network.metadata import CheckpointMeta


@dataclass(frozen=True)
class Choice:
    """Which scans, and what their labels mean.

    Attributes:
        split: of the patients; None: all of them.
        mapping: mapping file; None: the shipped one.
        labels: the text of `vista3d finetune --map`, for one data set; all its other labels are
            background then.
        limit: the first so many scans of each data set; None: all.
    """

    split: Split | None = "validation"
    mapping: Path | None = None
    labels: str = ""
    limit: int | None = None


def split_named(name: str) -> Split | None:
    """The split that a user names; None: "all".

    Raises:
        UsageError: no split.
    """
    for split in get_args(Split):
        if name == split:
            return cast(Split, split)
    if name == "all":
        return None
    msg = f"unknown split {name!r}: one of {', '.join(get_args(Split))}, all"
    raise UsageError(msg)


def evaluation_cases(
    paths: Iterable[Path], choice: Choice, meta: CheckpointMeta
) -> list[EvaluationCase]:
    """As `chosen_cases`, without saying how many there are besides."""
    return chosen_cases(paths, choice, meta)[0]


def chosen_cases(
    paths: Iterable[Path], choice: Choice, meta: CheckpointMeta
) -> tuple[list[EvaluationCase], Part]:
    """Scans with a truth, by data set and name; and which part of all they are.

    Args:
        paths: see `training.data.layouts.find_listings`.
        choice: of scans.
        meta: of the model: a label that bears the name of one of its own classes is that class.

    Raises:
        InputError: a list or the mapping file is wrong, or two data sets have one name.
        UsageError: no scan with a truth, labels for several data sets, or that none has.
    """
    listings = distinct([listing for path in paths for listing in find_listings(path)])
    vocabulary = anatomy.Vocabulary.of(meta.names)
    file = rules_for(listings, choice.mapping)
    if choice.labels and len(listings) > 1:
        msg = f"--map is for one data set, and there are {len(listings)}: use a mapping file"
        raise UsageError(msg)
    out: list[EvaluationCase] = []
    total = 0
    for listing in listings:
        rules = file.rules(listing.name)
        if choice.labels:
            rules = _mapped(rules, listing, choice.labels, meta, vocabulary)
        else:
            rules = _with_own(rules, listing, vocabulary)
        # Head rules exist for the data sets that a file names; they are not needed here.
        own = replace(file, datasets={**file.datasets, listing.name: rules})
        table = label_table(listing, rules)
        cases = dataset_cases(listing, own, choice.split)
        total += sum(None not in (each.image, each.label) for each in listing.entries)
        made = (_case(case, table, vocabulary) for case in cases)
        out += [case for case in made if case is not None][: choice.limit]
    if not out:
        names = ", ".join(listing.name for listing in listings)
        msg = f"{names}: no scan has a truth"
        if choice.split:
            msg = (
                f"{names}: no scan of the {choice.split} split has a truth: "
                "take another (--split), or all"
            )
        raise UsageError(msg)
    return out, Part(choice.split or "all", len(out), total)


def _with_own(rules: Rules, listing: Listing, vocabulary: anatomy.Vocabulary) -> Rules:
    """Labels that bear the names of a model's own classes; the mapping file comes first."""
    own = {key_of(structure.name): class_id for class_id, structure in vocabulary.own.items()}
    found = {name: own[key_of(name)] for name in listing.labels if key_of(name) in own}
    return replace(rules, labels={**found, **rules.labels})


def _mapped(
    rules: Rules,
    listing: Listing,
    text: str,
    meta: CheckpointMeta,
    vocabulary: anatomy.Vocabulary,
) -> Rules:
    """Only the labels that the user names; the file's other rules stay."""
    targets = parse_targets(text, vocabulary, meta.config.embeddings)
    return replace(rules, labels=only_named(listing, targets), novel=frozenset())


def _case(case: Case, table: LabelTable, vocabulary: anatomy.Vocabulary) -> EvaluationCase | None:
    if case.image is None or case.label is None:
        return None
    values: dict[int, list[int]] = {}
    for local, class_id in case.mapping.items():
        values.setdefault(class_id, []).append(local)
    named = {row.class_id: row.name for row in table.rows}
    known = [
        Target(
            vocabulary.by_id(class_id).name if class_id in vocabulary else named[class_id],
            class_id if class_id in vocabulary else None,
            tuple(own),
            case.source.complete,
        )
        for class_id, own in values.items()
        if class_id in case.annotated
    ]
    # Nobody states where a structure without a class was looked for: only its voxels count.
    novel = [
        Target(row.name, None, (row.value,), absence=False)
        for row in table.rows
        if row.reason in ("novel", "unknown") and row.value != 0
    ]
    return EvaluationCase(
        dataset=case.source.name,
        name=case.name,
        patient=case.patient,
        image=case.image,
        label=case.label,
        targets=(*known, *novel),
        prompts=tuple(sorted(class_id for class_id in values if class_id in vocabulary)),
    )
