"""A tiny network with decisive random logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vista3d.inference.model import Model
from vista3d.inference.runtimes.pytorch import TorchRuntime
from vista3d.network.config import NetworkConfig
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D
from vista3d.volume import Volume

CONFIG = NetworkConfig(
    widths=(4, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8
)
CLASSES = (1, 3, 5, 6, 14, 57, 115, 204)


@pytest.fixture(scope="session")
def model() -> Model:
    torch.manual_seed(4)
    network = Vista3D(CONFIG).eval().requires_grad_(False)
    meta = CheckpointMeta(
        name="tiny",
        config=CONFIG,
        spacing=(3.0, 3.0, 3.0),
        window=(32, 32, 32),
        intensity=(-963.8247715525971, 1053.678477684517),
        classes=CLASSES,
        licence="none",
    )
    return Model(network, meta, TorchRuntime(network, "cpu", "fp32"))


def made_up_scan(shape: tuple[int, int, int] = (40, 44, 36), affine=None) -> Volume:
    """A smooth body in air."""
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in shape), indexing="ij")
    radius = np.sqrt(sum(a**2 for a in axes))
    hu = np.where(radius < 1, 40 + 200 * np.sin(5 * axes[0]) * np.cos(4 * axes[2]), -1000)
    array = (hu + 20 * rng.standard_normal(shape)).astype(np.int16)
    return Volume(array, np.diag([-2.0, -2.0, 2.5, 1.0]) if affine is None else affine)
