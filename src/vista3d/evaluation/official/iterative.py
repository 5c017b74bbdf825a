"""`val_multigpu_point_iterative` (facts 5.4): the published curves over clicks.

Truth leaks in three ways: slices without truth are emptied before the next click and before the
score, the figure for a budget is the best of all clicks so far, and errors are found by the truth.
Windows without a click say "absent" and are averaged with the others, so that only what lies in the
middle of a clicked window survives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vista3d.evaluation.answer import Answer
from vista3d.evaluation.case import Target, mask_of
from vista3d.evaluation.metrics import dice
from vista3d.evaluation.official.clicks import CUBE, PLATE, Trial, centre, next_error
from vista3d.evaluation.official.grid import Blend, OfficialGrid
from vista3d.evaluation.official.prompt import window_prompt
from vista3d.evaluation.scan import Scan
from vista3d.evaluation.simulated_clicks import SimulatedClick
from vista3d.inference.windows import Triple
from vista3d.volume.resample import resample

STUBBORN = 10
"""Up to this many clicks, errors too thin for a cube are sought again with a plate, and the run
ends where there are none. From here on the released loop goes on with padding, which is no click
but is counted as one."""


def clicked(scan: Scan, targets: Sequence[Target], budgets: Sequence[int]) -> Iterator[Answer]:
    """Known structures, by the token of supported classes."""
    yield from _each(scan, targets, budgets, novel=False)


def zero_shot(scan: Scan, targets: Sequence[Target], budgets: Sequence[int]) -> Iterator[Answer]:
    """Every structure as a novel one (prompt class 600)."""
    yield from _each(scan, targets, budgets, novel=True)


def _each(
    scan: Scan, targets: Sequence[Target], budgets: Sequence[int], novel: bool
) -> Iterator[Answer]:
    grid = OfficialGrid.of(scan, crop=False)
    for target in targets:
        truth = mask_of(grid.truth, target)
        if truth.any():
            yield from _curve(grid, target, truth, budgets, novel)
        elif scan.truth(target).any():  # too small for the model's grid: nothing to click
            for budget in budgets:
                yield Answer(target, budget, 0, np.zeros(scan.labels.shape, bool))


def _curve(
    grid: OfficialGrid,
    target: Target,
    truth: np.ndarray,
    budgets: Sequence[int],
    novel: bool,
) -> Iterator[Answer]:
    rng, own_truth = grid.scan.random(target), grid.scan.truth(target)
    empty = ~truth.any((0, 1))
    clicks = [SimulatedClick(centre(truth), positive=True)]
    best, top, used = np.zeros(own_truth.shape, bool), 0.0, 0
    ended = padding = False
    for budget in budgets:
        while used < budget and not ended:
            if not padding:
                logits = _answer(grid, clicks, target, novel)
                mask = _on_scan(grid, logits, own_truth)
                quality = dice(mask, own_truth) if own_truth.any() else 0.0
                if quality > top:
                    best, top = mask, quality
                found = logits > 0
                found[:, :, empty] = False
            used += 1
            click = next_error(truth, found, rng, CUBE)
            if click is None and used < STUBBORN:
                click = next_error(truth, found, rng, PLATE)
                ended = click is None
            padding = click is None
            clicks += [] if click is None else [click]
        yield Answer(target, budget, used, best)


def _answer(
    grid: OfficialGrid,
    clicks: Sequence[SimulatedClick],
    target: Target,
    novel: bool,
) -> np.ndarray:
    """Logits [h, w, d]: all clicks so far in all windows."""
    blend = Blend(grid)
    for start in grid.starts():
        here = _inside(clicks, start, grid.windows.window)
        if here:
            prompt = window_prompt(here, target, grid.scan, novel=novel)
            logits = grid.scan.points.logits(grid.tokens(start), prompt)
            blend.add(start, logits.cpu().numpy())
    return blend.logits()


def _inside(clicks: Sequence[SimulatedClick], start: Triple, window: Triple) -> Trial:
    """Clicks strictly inside a window, in its voxels; its first plane is lost (facts 2.4)."""
    sides: dict[bool, list[Triple]] = {True: [], False: []}
    for click in clicks:
        i, j, k = (p - s for p, s in zip(click.position, start, strict=True))
        if all(0 < x < w for x, w in zip((i, j, k), window, strict=True)):
            sides[click.positive].append((i, j, k))
    return Trial(tuple(sides[True]), tuple(sides[False]))


def _on_scan(grid: OfficialGrid, logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Logits back by linear interpolation, thresholded; slices without truth emptied."""
    fine = resample(logits, grid.grid.geometry, grid.grid.original)
    mask = fine > 0
    mask[:, :, ~truth.any((0, 1))] = False
    return np.asarray(mask)
