"""`val_multigpu_point_patch`, val_auto: false (facts 5.2): the published "point" column.

One click in EVERY window for EVERY structure in it, placed at the truth: tens to hundreds of clicks
for a scan, which the published "one click" is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vista3d.evaluation.answer import Answer
from vista3d.evaluation.case import Target, mask_of
from vista3d.evaluation.official.clicks import Trial, centre
from vista3d.evaluation.official.grid import Blend, OfficialGrid
from vista3d.evaluation.official.lesions import with_lesion, without_lesions
from vista3d.evaluation.official.prompt import window_prompt
from vista3d.evaluation.scan import Scan


def point(scan: Scan, targets: Sequence[Target], budgets: Sequence[int]) -> Iterator[Answer]:
    """Click in every window that holds a part of the structure."""
    grid = OfficialGrid.of(scan, crop=True)
    clicked = with_lesion(scan, targets)
    blends = [Blend(grid) for _ in clicked]
    used = [0] * len(clicked)
    for start in grid.starts():
        truth = grid.window(grid.truth, start)
        for number, target in enumerate(clicked):
            there = mask_of(truth, target)
            if not there.any():
                continue
            prompt = window_prompt(Trial(positive=(centre(there),)), target, scan)
            logits = scan.points.logits(grid.tokens(start), prompt).cpu().numpy()
            blends[number].add(start, logits)
            used[number] += 1
    own = [grid.restore(blend.logits() > 0) for blend in blends]
    masks = without_lesions(scan, clicked, own)
    for number, target in enumerate(targets):
        yield Answer(target, 1, used[number], masks[number])
