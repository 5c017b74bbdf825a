"""Clicks of a window as the network takes them."""

from __future__ import annotations

import numpy as np

from vista3d.evaluation.case import Target
from vista3d.evaluation.official.clicks import Trial
from vista3d.evaluation.scan import Scan
from vista3d.inference.runtimes.points import WindowPrompt


def window_prompt(
    clicks: Trial, target: Target, scan: Scan, *, novel: bool = False
) -> WindowPrompt:
    """Clicks of one structure: ambiguous classes by the training list (facts 2.4).

    Args:
        clicks: voxels of the window.
        target: the structure.
        scan: with the model, whose supported classes end somewhere.
        novel: the zero-shot token and no ambiguous classes, as the iterative protocol has it.
    """
    points = np.array([*clicks.positive, *clicks.negative], np.float32)
    labels = np.array([1] * len(clicks.positive) + [0] * len(clicks.negative), np.int64)
    number = target.class_id
    if number is None or novel:
        return WindowPrompt(points, labels, novel=True)
    last = scan.model.meta.config.last_supported
    return WindowPrompt(
        points, labels + 2 * scan.model.vocabulary.by_id(number).special, number > last
    )
