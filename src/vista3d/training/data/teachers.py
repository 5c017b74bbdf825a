"""What a teacher is: anything that labels a scan with global class ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from vista3d.inference import Model


@dataclass(frozen=True, eq=False)
class Lesson:
    """A teacher's labels of one scan.

    Attributes:
        teacher, version: who.
        labels: [i, j, k] global ids on the scan's grid.
        classes: global ids that the teacher knows, found or not.
    """

    teacher: str
    version: str
    labels: np.ndarray
    classes: frozenset[int]


class Teacher(Protocol):
    """Labels scans."""

    @property
    def name(self) -> str:
        """Of the teacher, for file names and provenance."""
        ...

    @property
    def identity(self) -> str:
        """Of what decides its labels: scans labelled by another identity are labelled again."""
        ...

    def label(self, scan: Path) -> Lesson:
        """Label a scan."""
        ...


@dataclass(frozen=True, eq=False)
class ModelTeacher:
    """One of our own models: mini, official, or a checkpoint.

    Attributes:
        model: loaded.
        identity: of its weights and of this package.
    """

    model: Model = field(repr=False)
    identity: str

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.meta.name

    def label(self, scan: Path) -> Lesson:
        """Label a scan with everything the model was trained on.

        Raises:
            InputError: the scan cannot be segmented.
        """
        found = self.model.segment(scan)
        version = str(found.run.get("versions", {}).get("vista3d", ""))
        return Lesson(self.name, version, found.labels, frozenset(found.classes))


def teacher(name: str, device: str = "cpu") -> Teacher:
    """A teacher by name: "totalsegmentator", "totalsegmentator-fast", or what `vista3d.load` takes.

    Raises:
        WeightsError: no such model.
    """
    if name in ("totalsegmentator", "totalsegmentator-fast"):
        from vista3d.training.data.totalsegmentator import TotalSegmentator

        return TotalSegmentator(device.replace("cuda", "gpu"), name.endswith("-fast"), name)
    from vista3d import __version__
    from vista3d.inference import load
    from vista3d.network.weights import resolve
    from vista3d.results import describe_source

    digest = describe_source(resolve(name))["sha256"]
    return ModelTeacher(load(name, device=device), f"vista3d {__version__}, weights {digest}")
