"""What is wrong with data sets, before days are spent on training with them.

facts       one pass over a case's files
rules       findings from the facts
sides       left and right
duplicates  scans that are there twice
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from vista3d.training.data.cases import rules_for
from vista3d.training.data.check.facts import Facts, measure
from vista3d.training.data.check.finding import Finding
from vista3d.training.data.check.rules import (
    case_findings,
    dataset_findings,
    duplicate_findings,
    unnamed_findings,
)
from vista3d.training.data.label_table import label_table
from vista3d.training.data.layouts import Entry, find_listings

__all__ = ["Facts", "Finding", "check_folder", "measure_all"]

_WORTH = 32
"""Cases from which on starting processes (1 to 2 s) pays."""

_WORKER_BYTES = 3 * 2**30
"""A scan of 512 x 512 x 1000 voxels and its labels, read from compressed files, and Python."""


def check_folder(
    root: Path,
    mapping: Path | None = None,
    step: Callable[[int, int], None] = lambda done, total: None,
) -> list[Finding]:
    """Check every data set at `root`.

    Args:
        root: see `find_listings`.
        mapping: mapping file; None: the shipped one.
        step: told (done, total) cases.

    Returns:
        Findings by data set and case; empty where nothing is wrong.

    Raises:
        InputError: a list or the mapping file is wrong, so that there is nothing to check.
    """
    listings = find_listings(root)
    rules = rules_for(listings, mapping)
    pairs = [(listing, entry) for listing in listings for entry in listing.entries]
    measured = measure_all([entry for _, entry in pairs], step)
    tables = {each.name: label_table(each, rules.rules(each.name)) for each in listings}
    findings: list[Finding] = []
    for listing in listings:
        table = tables[listing.name]
        own = [facts for (each, _), facts in zip(pairs, measured, strict=True) if each is listing]
        findings += dataset_findings(listing, table)
        findings += unnamed_findings(listing, table, own)
    for (listing, entry), facts in zip(pairs, measured, strict=True):
        findings += case_findings(listing, entry, tables[listing.name], facts)
    keys = [(listing.name, entry.name) for listing, entry in pairs]
    patients = {key: entry.patient for key, (_, entry) in zip(keys, pairs, strict=True)}
    findings += duplicate_findings(dict(zip(keys, measured, strict=True)), patients)
    return sorted(findings, key=lambda finding: (finding.dataset, finding.case, finding.kind))


def measure_all(
    entries: list[Entry], step: Callable[[int, int], None] = lambda done, total: None
) -> list[Facts]:
    """Facts of every entry, in order, on as many cores as memory allows where there are many."""
    measured = []
    workers = _workers() if len(entries) >= _WORTH else 1
    if workers == 1:
        results = map(measure, entries)
        for facts in results:
            measured.append(facts)
            step(len(measured), len(entries))
        return measured
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for facts in pool.map(measure, entries, chunksize=4):
            measured.append(facts)
            step(len(measured), len(entries))
    return measured


def _workers() -> int:
    """Processes that the cores and the free memory allow, at least one."""
    from vista3d.inference.budget import available_memory  # brings torch, which no worker needs

    free = available_memory()
    cores = os.cpu_count() or 1
    return cores if free is None else max(1, min(cores, free // _WORKER_BYTES))
