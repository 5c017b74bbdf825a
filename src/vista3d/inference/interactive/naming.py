"""An object that has a name is answered twice over: for where it was clicked, and for what it is.

The point branch knows where, the class head what; each makes errors of its own, and the mean of
their logits makes fewer. A point prompt does not say how far along the patient an object goes, a
class prompt does: Dice of the spinal cord of five patients after one click 0.56 and 0.80.
"""

from __future__ import annotations

import numpy as np

from vista3d.inference.runtimes.points import WindowPrompt

VOICES = 2
"""Clicks that a name counts for. Five patients, Dice after 1, 2, 3, 5 and 10 clicks: 0.636, 0.715,
0.751, 0.783, 0.817 without names; 0.696, 0.749, 0.773, 0.801, 0.840 so; 0.686, 0.750, 0.755, 0.808,
0.833 where a name counts for as much as all clicks together."""


def with_name(
    clicked: np.ndarray, named: np.ndarray, prompt: WindowPrompt, clicks: int
) -> np.ndarray:
    """The mean of both answers, the clicked one weighing as many as `clicks`; or that one alone.

    A class prompt that finds its class at none of the positive clicks speaks of something else, or
    fails on this scan: it is not heard.

    Args:
        clicked: float32 [window], logits of the clicks.
        named: float32 [window], logits of the class.
        prompt: the clicks in the window, anchors among them.
        clicks: of the object, wherever they are.
    """
    positive = prompt.points[prompt.labels % 2 == 1]
    last = np.array(named.shape) - 1
    voxels = np.clip(np.round(positive).astype(int), 0, last)
    if not (named[tuple(voxels.T)] > 0).any():
        return clicked
    return np.asarray((clicks * clicked + VOICES * named) / (clicks + VOICES), np.float32)
