"""A click on a ball in the air, before the first person clicks."""

from __future__ import annotations

import threading

import numpy as np

from vista3d.inference import Model
from vista3d.volume import Volume


def click(model: Model, cancel: threading.Event) -> None:
    """Load what a first click loads: libraries, kernels, threads. Set `cancel` to stop."""
    size = 48
    distance = np.linalg.norm(np.indices((size,) * 3) - size / 2, axis=0)
    array = np.where(distance < size / 3, 60, -1000).astype(np.int16)
    volume = Volume.from_array(array, np.diag([3.0, 3.0, 3.0, 1.0]), "warm-up")
    model.session(volume).click((size / 2,) * 3, space="voxel", cancel=cancel)
