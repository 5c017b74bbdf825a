"""What is believed of an object: the mean of the network's answers after each of its clicks.

The network takes in all clicks at once and forgets: with a fifth click it may lose an organ that it
had with two. Every answer therefore counts as one voice, and so does, twice, a mask that the object
had before its clicks. Dice of `mini` after 5 and 10 clicks on 27 structures of training scans: 0.70
and 0.77 where each answer stands alone, 0.72 and 0.79 made right at the clicks (`hearing`), 0.76
and 0.82 with the mean as well. After one click on an automatic result of 0.66: 0.65 and 0.71.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from vista3d.inference.interactive.cache import RecentCache
from vista3d.inference.interactive.canvas import Canvas
from vista3d.inference.interactive.masks import relative
from vista3d.inference.windows import Slices

MASK_VOICES = 2
"""Answers that an automatic, given or painted mask counts for."""

_STEP = 2.0
"""Half of the logit of a mask away from its border."""


@dataclass(frozen=True, eq=False)
class Belief:
    """Logits of one object on a part of the model grid.

    Attributes:
        box: that part.
        logits: float32 [box]; of `known` voxels the mean of what was said.
        voices: float32 [box]: how many answers that is the mean of; those near the faces of their
            windows count for parts of one.
        known: bool [box]: seen by a window of the network.
    """

    box: Slices
    logits: np.ndarray
    voices: np.ndarray
    known: np.ndarray

    @classmethod
    def nothing(cls) -> Belief:
        """Of an object without mask and clicks."""
        none = np.zeros((0, 0, 0), np.float32)
        return cls((slice(0, 0), slice(0, 0), slice(0, 0)), none, none, none.astype(bool))

    def grown(self, box: Slices, mask: np.ndarray | None, voices: int) -> Belief:
        """On a box around its own; the new part believes `mask` bool [box], if there is one."""
        logits, count = (np.zeros(_size(box), np.float32) for _ in range(2))
        known = np.zeros(_size(box), bool)
        if mask is not None:
            logits[:], count[:] = _of_mask(mask), voices
        if self.logits.size:
            inner = relative(self.box, box)
            logits[inner], count[inner], known[inner] = self.logits, self.voices, self.known
        return Belief(box, logits, count, known)

    def after(self, answer: Canvas) -> Belief:
        """With one more answer, which lies inside the box.

        Near a face of its window an answer counts for less: it saw half of what is there, and a
        second window beyond that face would disagree with it in a straight line.
        """
        inner = relative(answer.box, self.box)
        seen = answer.known
        logits, voices, known = self.logits.copy(), self.voices.copy(), self.known.copy()
        voices[inner] += answer.sight
        news = np.where(seen, answer.logits, 0) - logits[inner]
        share = np.divide(answer.sight, voices[inner], out=np.zeros_like(news), where=seen)
        logits[inner] += news * share
        known[inner] |= seen
        return Belief(self.box, logits, voices, known)

    @property
    def nbytes(self) -> int:
        """Of its arrays."""
        return self.logits.nbytes + self.voices.nbytes + self.known.nbytes


class Memory(RecentCache[Hashable, Belief]):
    """Beliefs that the next click goes on from.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int = 32 * 2**20) -> None:
        super().__init__(limit, lambda belief: belief.nbytes)


def _size(box: Slices) -> tuple[int, ...]:
    return tuple(part.stop - part.start for part in box)


def _of_mask(mask: np.ndarray) -> np.ndarray:
    """Bool -> logits: 4 inside, 2 on the outermost voxels, -2 next to them, -4 outside."""
    from scipy import ndimage

    core = ndimage.binary_erosion(mask, border_value=1)
    rind = ndimage.binary_dilation(mask)
    levels = core.astype(np.float32) + 2 * mask.astype(np.float32) + rind.astype(np.float32)
    return np.asarray(_STEP * (levels - 2), np.float32)
