"""A case in memory, as protocols get it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vista3d.evaluation.case import EvaluationCase, Target, mask_of
from vista3d.inference import Model
from vista3d.inference.runtimes.points import PointRuntime
from vista3d.volume import Volume, check_ct, read, read_truth


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan, its truth and the model that is tried on it.

    Attributes:
        case: where it comes from.
        model: loaded.
        volume: the CT.
        labels: the truth, [i, j, k] in the data set's own values.
        seed: of the run.
    """

    case: EvaluationCase
    model: Model
    volume: Volume
    labels: np.ndarray
    seed: int

    @classmethod
    def read(cls, case: EvaluationCase, model: Model, seed: int) -> Scan:
        """Read the files of a case.

        Raises:
            InputError, GeometryError: a file is unreadable, or the two do not fit.
        """
        volume = check_ct(read(case.image))
        # A data set's own values, which may be any integers.
        labels = read_truth(case.label, volume.geometry, np.int32)
        return cls(case, model, volume, labels, seed)

    @property
    def points(self) -> PointRuntime:
        """The model's point branch."""
        return self.model.points

    def truth(self, target: Target) -> np.ndarray:
        """Bool [i, j, k]."""
        return mask_of(self.labels, target)

    @cached_property
    def known(self) -> frozenset[int]:
        """Global ids that the model was trained on."""
        return frozenset(self.model.meta.classes)

    def random(self, target: Target) -> np.random.Generator:
        """Chance of one structure of one scan: the same in any order and on any process."""
        name = f"{self.case.dataset}/{self.case.name}/{target.name}"
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])
