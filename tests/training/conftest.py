"""A made-up case small enough to reason about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vista3d.training.data.case import Case, DataSource
from vista3d.training.data.prepared import Prepared, class_locations

LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPLEEN = 1, 5, 14, 3


@pytest.fixture
def torso() -> Prepared:
    """See `made_up`."""
    return made_up()


def made_up() -> Prepared:
    """Liver, right kidney and (at larger i) left kidney in 40^3 voxels."""
    labels = np.zeros((40, 40, 40), np.int16)
    labels[6:16, 12:28, 20:32] = LIVER
    labels[8:14, 22:30, 8:16] = RIGHT_KIDNEY
    labels[28:34, 22:30, 8:16] = LEFT_KIDNEY
    image = np.full(labels.shape, -100, np.int16)
    for class_id, hu in ((LIVER, 60), (RIGHT_KIDNEY, 30), (LEFT_KIDNEY, 35)):
        image[labels == class_id] = hu
    case = Case(
        name="made-up",
        patient="made-up",
        source=DataSource("Dataset999_MadeUp"),
        image=None,
        label=Path("made-up.nii.gz"),
        mapping={},
        annotated=frozenset({LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPLEEN}),
    )
    return Prepared(case, image, labels, class_locations(labels), case.annotated, frozenset({220}))
