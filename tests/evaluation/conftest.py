"""Scans that protocols are tried on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.stand_in import LIVER, StandIn
from vista3d.evaluation.case import EvaluationCase, Target
from vista3d.evaluation.scan import Scan
from vista3d.volume import Volume

TARGET = Target("liver", LIVER, (7,))


def scan_of(
    hu: np.ndarray,
    labels: np.ndarray,
    model: StandIn,
    targets: tuple[Target, ...] = (TARGET,),
    spacing: float = 2.0,
    dataset: str = "Made",
) -> Scan:
    """A case in memory."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    ids = tuple(t.class_id for t in targets if t.class_id is not None)
    case = EvaluationCase(dataset, "case", "patient", Path("a"), Path("b"), targets, ids)
    return Scan(case, model, Volume(hu.astype(np.float32), affine), labels, seed=0)


@pytest.fixture
def block():
    """HU and labels [24, 24, 40]: a bright block across several windows of 16 voxels, labelled 7;
    all of it above 0 HU somewhere in a frame, so that the released crop keeps the whole scan."""
    labels = np.zeros((24, 24, 40), np.int32)
    labels[6:18, 6:18, 4:20] = 7
    hu = np.where(labels == 7, 500, -100)
    hu[0, 0, 0] = hu[-1, -1, -1] = 1  # above 0, and not bright
    return hu, labels
