"""A coarse torso shared by the tests of this room: 1 s instead of 10."""

from __future__ import annotations

import numpy as np
import pytest

from vista3d.phantom import make_phantom
from vista3d.volume import Volume


@pytest.fixture(scope="session")
def torso() -> tuple[Volume, np.ndarray]:
    """Seed 1 (male, arterial phase) at 5 mm."""
    return make_phantom(1, spacing=(5, 5, 5))
