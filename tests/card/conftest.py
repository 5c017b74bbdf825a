"""Models that cards are written of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vista3d.network.checkpoint import save_checkpoint
from vista3d.network.config import NetworkConfig
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D

NAMED = ("mini", "official", "official-ctmr")

SMALL = NetworkConfig(
    widths=(4, 4, 4, 4, 4), blocks=(1, 1, 1, 1, 1), features=8, heads=2, mlp_dim=8
)


@pytest.fixture(autouse=True)
def no_weights(monkeypatch, tmp_path: Path) -> None:
    """Published weights are nowhere on this machine."""
    for name in ("VISTA3D_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A fine-tuned model with a structure of its own, which calls itself `mini`, too."""
    meta = CheckpointMeta(
        "mini", SMALL, (1.5, 1.5, 3.0), (48, 48, 32), (-1000.0, 1000.0), (1, 300), "CC BY 4.0",
        {"training_cases": {"Mine": 5}, "stages": [{"stage": "tune", "steps": 7, "seed": 3}]},
        names={300: "my tumour"},
    )  # fmt: skip
    path = tmp_path / "mine.safetensors"
    torch.manual_seed(0)
    save_checkpoint(path, Vista3D(SMALL).state_dict(), meta)
    return path
