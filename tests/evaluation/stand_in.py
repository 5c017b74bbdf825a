"""A model without a network: bright voxels are the object, in every branch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import torch

from vista3d.anatomy import Vocabulary
from vista3d.inference import Segmentation
from vista3d.inference.labelling import ClassTable

LIVER, SPLEEN, PANCREAS = 1, 3, 4
BRIGHT = 0.6
"""200 HU, with -1000 HU at 0 and 1000 HU at 1."""


@dataclass
class Answers:
    """The point branch: all bright voxels of a window, or what `answer` says.

    Attributes:
        prompts: (window's positive and negative points) in the order they were asked.
        threshold: of the automatic branch.
    """

    answer: object = None
    threshold: float = BRIGHT
    prompts: list = field(default_factory=list)
    classes: tuple[int, ...] = ()

    def view(
        self, context: np.ndarray, inner: tuple[slice, ...], *, classes: bool = False
    ) -> SimpleNamespace:
        """The picture itself."""
        image = SimpleNamespace(tokens=torch.from_numpy(context[inner]))
        return SimpleNamespace(image=image, nbytes=image.tokens.nbytes)

    def both(
        self, context: np.ndarray, inner: tuple[slice, ...]
    ) -> tuple[SimpleNamespace, torch.Tensor]:
        """The picture, and how far it is above the threshold."""
        image = self.view(context, inner).image
        return image, (image.tokens - np.float32(self.threshold))[None]

    def logits(self, image: SimpleNamespace, prompt) -> torch.Tensor:
        """+5 and -5."""
        self.prompts.append(prompt)
        picture = image.tokens.numpy()
        found = picture > BRIGHT if self.answer is None else self.answer(picture, prompt)
        return torch.from_numpy(np.where(found, 5.0, -5.0).astype(np.float32))


class StandIn:
    """As `vista3d.inference.Model`, with what protocols use of it."""

    def __init__(
        self,
        window: int = 16,
        spacing: float = 2.0,
        threshold: float = BRIGHT,
        answer: object = None,
        known: Iterable[int] = (LIVER, SPLEEN),
    ) -> None:
        size = (window,) * 3
        self.meta = SimpleNamespace(
            name="stand-in", spacing=(spacing,) * 3, window=size, click_window=size,
            click_context=size, intensity=(-1000.0, 1000.0), intensity_kind="hu",
            classes=tuple(known), config=SimpleNamespace(last_supported=132),
        )  # fmt: skip
        self.vocabulary = Vocabulary()
        self.asked: list[tuple[int, ...]] = []
        self._threshold = threshold
        self.points = Answers(answer, threshold)

    def class_table(self, classes: tuple[int, ...], device: str) -> ClassTable:
        """One channel: the first known class is what is bright, the others the rest."""
        first = self.meta.classes[0]
        rows = [[1.0] if number == first else [-1.0] for number in classes]
        return ClassTable.plain(torch.tensor(rows))

    def segment(self, volume, classes, *, preset=None, output="labels"):
        """Bright voxels are the first class asked for."""
        self.asked.append(tuple(classes))
        bright = np.asarray(volume.array) > 2000 * self._threshold - 1000
        labels = np.where(bright, classes[0], 0).astype(np.uint8)
        masks = {number: labels == number for number in classes} if output == "masks" else None
        return Segmentation(labels, volume, tuple(classes), masks=masks)
