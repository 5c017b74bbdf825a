"""`vista3d data`: look at data sets before training on them, and complete their labels."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vista3d.cli.options import Json, Mapping
from vista3d.wording import counted

if TYPE_CHECKING:
    from vista3d.training.data.layouts import Listing
    from vista3d.training.data.mapping import MappingFile

ACTIONS = {
    "check": "find mismatched grids, unknown and empty labels, duplicates, left/right flips",
    "table": "dry run: print what every local label means and how many cases have it",
    "label": "have a teacher label every scan, and judge which labels to believe",
}


def data(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="check, table or label.")],
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET", help="Data set, folder of data sets, datalist .json, or .csv."
        ),
    ],
    mapping: Mapping = None,
    as_json: Json = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", show_default=False, help="label: folder of the pseudo-labels."
        ),
    ] = None,
    teacher: Annotated[
        str,
        typer.Option(
            "--teacher",
            help="label: totalsegmentator, totalsegmentator-fast, mini, official or a model file.",
        ),
    ] = "totalsegmentator",
    second: Annotated[
        str | None,
        typer.Option(
            "--second", show_default=False, help="label: a second teacher that must agree."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="label: cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Check, tabulate or pseudo-label data sets.

    Exit code 3: check found problems, or label failed at some scans.

    Example: vista3d data check Dataset001_Mine
    """
    from vista3d.errors import UsageError

    if action == "check":
        _check(folder, mapping, as_json)
    elif action == "table":
        _table(folder, mapping, as_json)
    elif action == "label":
        if output is None:
            msg = "data label needs -o OUTPUT, the folder of the pseudo-labels"
            raise UsageError(msg)
        _label(folder, mapping, output, teacher, second, device)
    else:
        listing = "; ".join(f"{name}: {text}" for name, text in ACTIONS.items())
        msg = f"unknown action {action!r} ({listing})"
        raise UsageError(msg)


def _check(folder: Path, mapping: Path | None, as_json: bool) -> None:
    from vista3d.errors import CohortError
    from vista3d.training.data.check import check_folder

    findings = check_folder(folder, mapping)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    for finding in [] if as_json else findings:
        place = "/".join(part for part in (finding.dataset, finding.case) if part)
        typer.echo(f"{place}: [{finding.kind}] {finding.what}: {finding.value}")
        typer.echo(f"    fix: {finding.fix}")
    if findings:
        places = len({(finding.dataset, finding.case) for finding in findings})
        msg = f"{counted(len(findings), 'finding')} in {counted(places, 'place')}"
        raise CohortError(msg)
    if not as_json:
        typer.echo("no problems found")


def _table(folder: Path, mapping: Path | None, as_json: bool) -> None:
    from vista3d.training.data.cases import rules_for
    from vista3d.training.data.layouts import find_listings

    listings = find_listings(folder)
    rules = rules_for(listings, mapping)
    content = [_resolved(listing, rules) for listing in listings]
    if as_json:
        typer.echo(json.dumps(content, indent=1))
        return
    for each in content:
        splits = ", ".join(f"{name} {count}" for name, count in each["splits"].items())
        typer.echo(
            f"\n{each['dataset']}: {each['cases']} cases of {each['patients']} patients "
            f"({splits}), weight {each['weight']:g}, "
            f"{'complete' if each['complete'] else 'a missing label means: not drawn'}"
        )
        if each["absent"]:
            typer.echo(f"  absent by body region: {', '.join(each['absent'])}")
        for row in each["labels"]:
            target = row["class"] or "-"
            typer.echo(
                f"  {row['value']:>5}  {row['name']:32} -> {row['id'] or '':>3} {target:32} "
                f"({row['reason']}); annotated in {row['annotated']}, found in {row['found']}"
            )
        if not each["named"] and (each["unnamed"] or not each["labels"]):
            typer.echo(_how_to_name(each["dataset"], each["unnamed"]))


def _how_to_name(dataset: str, values: dict[int, int]) -> str:
    """What a list without label names needs."""
    found = ", ".join(f"{value} in {count}" for value, count in values.items()) or "none"
    wanted = {"datasets": {dataset: {"labels": {str(min(values, default=1)): "liver"}}}}
    return (
        f"  the list names no labels; its files have {found}. Say what a value means in a mapping "
        f"file (--mapping): {json.dumps(wanted)}"
    )


def _resolved(listing: Listing, rules: MappingFile) -> dict[str, Any]:
    """The table of one data set, with the class counts of its label files."""
    from dataclasses import replace

    from vista3d import anatomy
    from vista3d.training.data.cases import dataset_cases
    from vista3d.training.data.check import measure_all
    from vista3d.training.data.label_table import label_table

    own = rules.rules(listing.name)
    table = label_table(listing, own)
    labelled = [replace(each, image=None) for each in listing.entries if each.label is not None]
    found = Counter(value for facts in measure_all(labelled) for value in facts.voxels or {})
    names = {name: row.value for row in table.rows for name in (row.name, str(row.value))}
    stated = Counter(
        value
        for each in labelled
        for value in {names[name] for name in each.annotated or names if name in names}
    )
    return {
        "dataset": listing.name,
        "cases": len(listing.entries),
        "patients": len({each.patient for each in listing.entries}),
        "splits": {
            split: len(dataset_cases(listing, rules, split))
            for split in ("train", "validation", "test")
        },
        "weight": own.weight,
        "complete": own.complete,
        "absent": [anatomy.by_id(i).name for i in sorted(own.absent)],
        "named": bool(listing.labels),
        "unnamed": {v: n for v, n in sorted(found.items()) if v not in table.values.values()},
        "labels": [
            {
                "value": row.value,
                "name": row.name,
                "id": row.class_id,
                "class": None if row.class_id is None else anatomy.by_id(row.class_id).name,
                "reason": row.reason,
                "annotated": stated[row.value],
                "found": found[row.value],
            }
            for row in table.rows
        ],
    }


def _label(
    folder: Path,
    mapping: Path | None,
    output: Path,
    first: str,
    second: str | None,
    device: str,
) -> None:
    from vista3d.errors import CohortError
    from vista3d.training.data.cases import dataset_cases, rules_for
    from vista3d.training.data.layouts import find_listings
    from vista3d.training.data.pseudo import label_cases
    from vista3d.training.data.teachers import teacher

    listings = find_listings(folder)
    rules = rules_for(listings, mapping)
    cases = [case for listing in listings for case in dataset_cases(listing, rules)]
    teachers = teacher(first, device), None if second is None else teacher(second, device)
    states: Counter[str] = Counter()
    for outcome in label_cases(cases, output, *teachers):
        states[outcome.state] += 1
        why = f": {'; '.join(outcome.reasons)}" if outcome.reasons else ""
        typer.echo(f"{outcome.case.source.name}/{outcome.case.name} {outcome.state}{why}")
    typer.echo(
        ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "no scan"
    )
    if states["failed"]:
        msg = f"{states['failed']} scans failed; run again to repeat them"
        raise CohortError(msg)
