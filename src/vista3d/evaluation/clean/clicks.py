"""Clicks over the whole scan, through the session that a user has (paper Table 1 and Fig. 5).

Every click is counted, wherever it falls: one click is one click for the scan, not one for each
sliding window. Objects may overlap, so that no structure profits from the clicks of another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vista3d.evaluation.answer import Answer
from vista3d.evaluation.case import Target
from vista3d.evaluation.scan import Scan
from vista3d.evaluation.simulated_clicks import next_click
from vista3d.inference import InteractiveSession


def clicked(scan: Scan, targets: Sequence[Target], budgets: Sequence[int]) -> Iterator[Answer]:
    """Known structures from nothing: the class's own point prompts."""
    session = _session(scan)
    for target in targets:
        thing = session.add_object(target.name, class_=target.class_id)
        yield from _rounds(scan, session, thing, target, budgets)


def zero_shot(scan: Scan, targets: Sequence[Target], budgets: Sequence[int]) -> Iterator[Answer]:
    """Structures as if no model knew them: anonymous objects, which carry the zero-shot token."""
    session = _session(scan)
    for target in targets:
        thing = session.add_object(target.name)
        yield from _rounds(scan, session, thing, target, budgets)


def corrected(scan: Scan, targets: Sequence[Target], budgets: Sequence[int]) -> Iterator[Answer]:
    """The automatic result, corrected by clicks on its largest errors (Alg. 1)."""
    session = _session(scan)
    session.run_automatic([class_id for class_id in scan.case.prompts if class_id in scan.known])
    made = {thing.class_id: thing.id for thing in session.objects}
    for target in targets:
        thing = made.get(target.class_id)
        if thing is None:
            thing = session.add_object(target.name, class_=target.class_id)
        yield from _rounds(scan, session, thing, target, budgets)


def _session(scan: Scan) -> InteractiveSession:
    return scan.model.session(scan.volume, overlap="allow overlap")


def _rounds(
    scan: Scan,
    session: InteractiveSession,
    thing: int,
    target: Target,
    budgets: Sequence[int],
) -> Iterator[Answer]:
    """Click until the largest budget is spent or nothing is wrong; hand over at each budget."""
    truth, spacing = scan.truth(target), scan.volume.geometry.spacing
    found, used = session.mask(thing), 0
    for budget in budgets:
        while used < budget:
            click = next_click(truth, found, spacing)
            if click is None:
                break
            session.click(click.position, click.positive, space="voxel", object_id=thing)
            found, used = session.mask(thing), used + 1
        yield Answer(target, budget, used, found)
    session.remove_object(thing)
