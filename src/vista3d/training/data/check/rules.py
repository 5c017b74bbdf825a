"""From what was measured to findings: one rule a function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from vista3d import anatomy
from vista3d.training.data.check.duplicates import alike, identical
from vista3d.training.data.check.facts import Facts
from vista3d.training.data.check.finding import Finding
from vista3d.training.data.check.sides import judge
from vista3d.training.data.label_table import LabelTable
from vista3d.training.data.layouts import Entry, Listing
from vista3d.training.data.mapping import nearest
from vista3d.wording import first_of

BLANK_SHARE = 0.05
"""Share of a label's voxels without image from which on it is reported."""

_AIRY = (
    "lung", "trachea", "airway", "larynx", "esophagus", "stomach", "duodenum", "small bowel",
    "colon",
)  # fmt: skip
"""May hold air of less than -990 HU."""

_SIDE_FIXES = {
    "sides-labels": (
        "the labels left and right are exchanged",
        "exchange the names of the pairs in dataset.json, or map each to the other side in the "
        "mapping file; for one case, exchange the values in its label file",
    ),
    "sides-array": (
        "the label array is mirrored left to right against its scan",
        "flip the label array along its left/right axis and keep the header",
    ),
    "sides-scan": (
        "scan and labels are mirrored left to right: the header's x axis is wrong",
        "negate the first row of the affine in image and label",
    ),
    "sides-turned": (
        "left and right are exchanged, and so are front and back: LPS written as RAS",
        "negate the first two rows of the affine in image and label",
    ),
    "sides-header": (
        "scan and labels show left and right exchanged: the header is wrong",
        "look where the table lies: before the patient, negate the first two rows of the affine in "
        "image and label (LPS written as RAS); behind the patient, only the first (mirrored)",
    ),
    "sides-anatomy": (
        "paired organs are in order but single organs lie on the wrong side",
        "the image was mirrored before it was labelled, or the patient has situs inversus: look at "
        "the scan; leave it out unless the anatomy is real",
    ),
    "sides-pair": (
        "paired structures lie the wrong way round",
        "exchange the two values in the label file",
    ),
    "sides-unclear": (
        "paired structures are reversed, and no organ of a known side tells why",
        "look at the scan: exchange the labels, or correct the header's x axis",
    ),
}


def dataset_findings(listing: Listing, table: LabelTable) -> Iterator[Finding]:
    """What the list and its label table themselves show."""
    yield from _torn(listing)
    for row in table.rows:
        where = (listing.name, "")
        if row.reason == "unknown":
            known = (s.name for s in anatomy.STRUCTURES.values())
            yield Finding(
                *where,
                "unknown-class",
                f"label {row.name!r} is no known class",
                f"value {row.value}",
                f"{nearest(row.name.replace('_', ' '), known)} Name it in the mapping file's "
                '"labels", or map it to null',
            )
        if row.reason == "several classes":
            yield Finding(
                *where,
                "several-classes",
                f"label {row.name!r} stands for several classes",
                f"value {row.value}",
                'map it to one of them in the mapping file\'s "labels", or to null',
            )


def unnamed_findings(
    listing: Listing, table: LabelTable, facts: Iterable[Facts]
) -> Iterator[Finding]:
    """Values that a list without label names leaves without meaning; the masks are as they should.

    One finding for all cases: each of them has the same.
    """
    found = frozenset[int]().union(*(each.voxels or () for each in facts))
    unnamed = sorted(found - set(table.values.values()))
    if unnamed and not listing.labels:
        yield Finding(
            listing.name,
            "",
            "unknown-label",
            "label values that have no name",
            first_of(unnamed, 5),
            'say what they mean in "labels" of a mapping file (--mapping), or to finetune and '
            f'evaluate by --map "{unnamed[0]}:CLASS"',
        )


def _torn(listing: Listing) -> Iterator[Finding]:
    """Patients whose scans the list puts on several sides."""
    listed: dict[str, list[Entry]] = defaultdict(list)
    for entry in listing.entries:
        if entry.split is not None:
            listed[entry.patient].append(entry)
    sides = listing.splits
    for patient, scans in listed.items():
        if len({entry.split for entry in scans}) > 1:
            yield Finding(
                listing.name,
                scans[0].name,
                "split",
                f"the scans of patient {patient!r} are listed on several sides",
                ", ".join(f"{entry.name}: {entry.split}" for entry in scans),
                f"list them on one side; until then all of them count as {sides[patient]}",
            )


def case_findings(
    listing: Listing, entry: Entry, table: LabelTable, facts: Facts
) -> Iterator[Finding]:
    """What is wrong with one case."""
    where = (listing.name, entry.name)
    if facts.error:
        yield Finding(
            *where,
            "unreadable",
            "the files cannot be used",
            facts.error,
            "replace or drop the case",
        )
        return
    for warning in facts.warnings:
        yield Finding(
            *where, "image", "reading the scan gave a warning", warning, "check the source file"
        )
    yield from _grids(where, facts)
    yield from _values(listing, entry, table, facts)
    yield from _blank(where, table, facts)
    yield from _sides(where, table, facts)


def _grids(where: tuple[str, str], facts: Facts) -> Iterator[Finding]:
    image, label = facts.image, facts.label
    if image is None or label is None or image.matches(label):
        return
    if image.shape != label.shape:
        yield Finding(
            *where,
            "grid",
            "image and label have different shapes",
            f"{image.shape} and {label.shape}",
            "resample the label to the image's grid, nearest neighbour",
        )
        return
    gap = image.corner_gap(label)
    yield Finding(
        *where,
        "grid",
        "image and label have the same shape but lie apart",
        f"corners differ by up to {gap:.1f} mm ({image.orientation} and {label.orientation})",
        "if the arrays belong together, copy the image's header to the label; otherwise resample",
    )


def _values(listing: Listing, entry: Entry, table: LabelTable, facts: Facts) -> Iterator[Finding]:
    where = (listing.name, entry.name)
    if facts.voxels is None:
        return
    if facts.fractional:
        yield Finding(
            *where,
            "label-values",
            "label voxels that are no integer >= 0",
            f"{facts.fractional} voxels",
            "write the label map again as unsigned integers; never resample it linearly",
        )
    if not facts.voxels:
        yield Finding(
            *where,
            "empty-label",
            "the label map has no voxel",
            "all background",
            "drop the case or its label, or find the right file",
        )
    values = table.values
    names = {value: name for name, value in values.items()}
    unlisted = {v: n for v, n in facts.voxels.items() if v not in names}
    if unlisted and listing.labels:  # else it is no fault of the case: `unnamed_findings`
        yield Finding(
            *where,
            "unknown-label",
            "label values that the data set does not name",
            ", ".join(f"{v} ({n} voxels)" for v, n in list(unlisted.items())[:5]),
            'add them to "labels" (dataset.json or mapping file), or clear these voxels',
        )
    if entry.annotated is not None:
        stated = {values.get(name, name) for name in entry.annotated}
        stated |= {int(name) for name in entry.annotated if name.isdigit()}
        extra = [names[v] for v in facts.voxels if v in names and v not in stated]
        if extra:
            yield Finding(
                *where,
                "not-annotated",
                "labels with voxels that the case does not list as annotated",
                ", ".join(extra[:5]),
                'add them to "annotated", or clear these voxels',
            )


def _blank(where: tuple[str, str], table: LabelTable, facts: Facts) -> Iterator[Finding]:
    if facts.blank is None or facts.voxels is None:
        return
    airy = set(anatomy.resolve(_AIRY))
    # By name, not by class: a novel label is no target, but its larynx holds air all the same.
    meant = anatomy.dataset_ids(table.values) | table.mapping
    shares = {
        row.name: facts.blank.get(row.value, 0) / facts.voxels[row.value]
        for row in table.rows
        if row.value in facts.voxels and meant.get(row.value) not in airy
    }
    bad = {name: share for name, share in shares.items() if share >= BLANK_SHARE}
    if bad:
        yield Finding(
            *where,
            "blank-image",
            "labels are drawn in air or where the scan holds no image",
            ", ".join(f"{name} {share:.0%}" for name, share in bad.items()),
            "crop the case to the imaged slices, correct these labels, or leave them out",
        )


def _sides(where: tuple[str, str], table: LabelTable, facts: Facts) -> Iterator[Finding]:
    mapping, centroids = table.mapping, facts.centroids or {}
    verdict = judge(facts, {mapping[v]: p for v, p in centroids.items() if v in mapping})
    if verdict is not None:
        what, fix = _SIDE_FIXES[verdict.kind]
        yield Finding(*where, verdict.kind, what, verdict.value, fix)


def duplicate_findings(
    facts: dict[tuple[str, str], Facts], patients: dict[tuple[str, str], str]
) -> Iterator[Finding]:
    """Scans that occur twice, in one data set or in two."""
    for group in identical(facts):
        others = ", ".join("/".join(key) for key in group[1:])
        yield Finding(
            *group[0],
            "duplicate",
            "the same voxels as another case",
            others,
            "keep one; counted twice it may be trained on and tested on",
        )
    for one, other, correlation, mirrored in alike(facts):
        same = patients[one] == patients[other]
        yield Finding(
            *one,
            "near-duplicate",
            "looks like another case" + (" mirrored left to right" if mirrored else ""),
            f"{'/'.join(other)}, correlation {correlation:.4f}",
            "two scans of one patient, as listed: nothing to do if both are meant"
            if same
            else "look at both: keep one, or list them with the same patient",
        )
