"""Listings and rules together: the cases of a split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vista3d import anatomy
from vista3d.training.data.case import Case, DataSource, PseudoLabel
from vista3d.training.data.label_table import LabelTable, label_table
from vista3d.training.data.layouts import Entry, Listing, find_listings
from vista3d.training.data.mapping import MappingFile, read_mapping, shipped_mapping
from vista3d.training.data.pseudo import attach
from vista3d.training.data.splits import Split, split_of

HEPATIC_VESSEL, AIRWAY = 25, 132


def rules_for(listings: list[Listing], path: Path | None) -> MappingFile:
    """The mapping file of some data sets; None: the shipped one, for those that it names.

    Raises:
        InputError: a given file that cannot be read, or names other data sets.
    """
    if path is None:
        return shipped_mapping()
    mapping = read_mapping(path)
    mapping.check_names(listing.name for listing in listings)
    return mapping


def read_cases(
    root: Path,
    split: Split | None = "train",
    mapping: Path | None = None,
    *,
    pseudo: Path | None = None,
) -> list[Case]:
    """Labelled cases of every data set at `root` that takes part, by data set and name.

    Args:
        root: see `find_listings`.
        split: of the patients; None: all of them.
        mapping: mapping file; None: the shipped one.
        pseudo: folder of labels made by `pseudo.label_cases`, for what nobody annotated.

    Raises:
        InputError: a list or the mapping file is wrong.
    """
    listings = find_listings(root)
    rules = rules_for(listings, mapping)
    cases = [case for each in listings for case in dataset_cases(each, rules, split)]
    if pseudo is not None:
        cases = attach(cases, pseudo)
    return [case for case in cases if case.label is not None or case.pseudo is not None]


def dataset_cases(listing: Listing, mapping: MappingFile, split: Split | None = None) -> list[Case]:
    """Cases of one data set, labelled or not.

    Raises:
        InputError: labels that the data set does not have.
    """
    rules = mapping.rules(listing.name)
    table = label_table(listing, rules)
    head = mapping.head_of(listing.name)
    source = DataSource(
        listing.name, rules.weight, rules.variation, rules.complete, rules.absent, head,
        mirror=anatomy.one_sided().isdisjoint(table.mapping.values()),
        licence=listing.licence,
    )  # fmt: skip
    shares = rules.shares
    if any(entry.split == "test" for entry in listing.entries):
        shares = shares.without_test()  # it is given: nobody else is kept for it
    listed, seed = listing.splits, mapping.split_seed
    return [
        _case(entry, source, table, listing)
        for entry in listing.entries
        if split in (None, listed.get(entry.patient) or split_of(entry.patient, shares, seed))
    ]


def _case(entry: Entry, source: DataSource, table: LabelTable, listing: Listing) -> Case:
    where = f"{listing.file.name}: {entry.name}"
    annotated = frozenset[int]() if entry.label is None else table.classes(entry.annotated, where)
    case = Case(
        name=entry.name,
        patient=entry.patient,
        source=source,
        image=entry.image,
        label=entry.label,
        mapping=table.mapping,
        annotated=annotated,
        supervoxels=entry.supervoxels,
    )
    if entry.pseudo is None:
        return case
    return replace(case, pseudo=PseudoLabel(entry.pseudo, _taught() - case.judged))


def _taught() -> frozenset[int]:
    """What the published pseudo-labels state: TotalSegmentator's 117 and two more (facts 3.3)."""
    return frozenset(anatomy.everything()) | {HEPATIC_VESSEL, AIRWAY}
