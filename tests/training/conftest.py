"""A made-up case small enough to reason about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vista3d.training.corpus import Case, Source
from vista3d.training.prepared import Prepared, _locations

LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPLEEN = 1, 5, 14, 3


@pytest.fixture
def torso() -> Prepared:
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
        source=Source("Dataset999_MadeUp", weight=1.0),
        image=None,
        label=Path("made-up.nii.gz"),
        mapping={},
        annotated=frozenset({LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPLEEN}),
    )
    return Prepared(case, image, labels, _locations(labels), case.annotated, frozenset({220}))
