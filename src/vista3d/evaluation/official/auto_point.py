"""`val_multigpu_autopoint_patch` (facts 5.3): the published "auto + point" column.

In every window the automatic logits are corrected in up to three trials of clicks, and the version
that is nearest to the TRUTH is kept: an upper bound, no user's figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from torch import Tensor

from vista3d.evaluation.answer import Answer
from vista3d.evaluation.case import Target, mask_of
from vista3d.evaluation.official.clicks import MERGED, Trial, trial
from vista3d.evaluation.official.grid import Blend, OfficialGrid
from vista3d.evaluation.official.lesions import with_lesion, without_lesions
from vista3d.evaluation.official.prompt import window_prompt
from vista3d.evaluation.scan import Scan
from vista3d.inference.interactive.placing import surrounding
from vista3d.inference.labelling import ClassTable
from vista3d.inference.merge import refine_official
from vista3d.inference.windows import Triple
from vista3d.network.point_head import ImageTokens

TRIALS = 3


def auto_point(scan: Scan, targets: Sequence[Target], budgets: Sequence[int]) -> Iterator[Answer]:
    """Best of four in every window, blended; every structure thresholded by itself."""
    grid = OfficialGrid.of(scan, crop=True)
    corrected = with_lesion(scan, targets)
    classes = tuple(target.class_id or 0 for target in corrected)
    table = scan.model.class_table(classes, "cpu")
    by_class = {target.class_id: target for target in (*scan.case.targets, *scan.case.others)}
    chances = [scan.random(target) for target in corrected]
    blends, used = [Blend(grid) for _ in corrected], [0] * len(corrected)
    for start in grid.starts():
        window = _Window(grid, start)
        automatic = window.automatic(table)
        for number, target in enumerate(corrected):
            best, clicks = _best(window, automatic[number], target, by_class, chances[number])
            blends[number].add(start, best)
            used[number] += clicks
    own = [grid.restore(blend.logits() > 0) for blend in blends]
    masks = without_lesions(scan, corrected, own)
    for number, target in enumerate(targets):
        yield Answer(target, 1, used[number], masks[number])


@dataclass(frozen=True, eq=False)
class _Window:
    """One window and its truth, in the data set's own values."""

    grid: OfficialGrid
    start: Triple

    @cached_property
    def truth(self) -> np.ndarray:
        """[window]; 0 beyond the volume."""
        return self.grid.window(self.grid.truth, self.start)

    @cached_property
    def _encoded(self) -> tuple[ImageTokens, Tensor]:
        """For both branches at once, as the released network does."""
        meta = self.grid.scan.model.meta
        outer, inner = surrounding(
            self.start, meta.click_window, meta.click_context, self.grid.shape
        )
        return self.grid.scan.points.both(self.grid.image(outer, meta.click_context), inner)

    def automatic(self, table: ClassTable) -> np.ndarray:
        """Logits [K, window] of the automatic branch."""
        return np.asarray(table.logits(self._encoded[1].float().cpu()).numpy())

    def corrected(self, logits: np.ndarray, clicks: Trial, target: Target) -> np.ndarray:
        """Logits [window] merged with the answer to clicks, by the released merge."""
        scan = self.grid.scan
        prompt = window_prompt(clicks, target, scan)
        answer = scan.points.logits(self._encoded[0], prompt).cpu().numpy()
        return refine_official(logits, answer, clicks.positive, clicks.negative)


def _best(
    window: _Window,
    logits: np.ndarray,
    target: Target,
    by_class: Mapping[int | None, Target],
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """The best of the automatic logits and three corrections, and the clicks that were made."""
    truth = mask_of(window.truth, target)
    clicked = truth.copy()
    for other in MERGED.get(target.class_id or 0, ()):
        if other in by_class:
            clicked |= mask_of(window.truth, by_class[other])
    best, top, used, now = logits, _quality(logits > 0, truth), 0, logits
    for number in range(TRIALS):
        clicks = trial(clicked, now > 0, number == 0, rng)
        if not clicks:
            break
        used += len(clicks.positive) + len(clicks.negative)
        now = window.corrected(now, clicks, target)
        quality = _quality(now > 0, truth)
        if quality > top:
            best, top = now, quality
    return best, used


def _quality(found: np.ndarray, truth: np.ndarray) -> float:
    """Dice; for an absent structure, the fewer voxels the better."""
    if not truth.any():
        return -float(found.sum())
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))
