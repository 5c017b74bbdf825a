"""The official network, filled by the rule of facts section 11."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vista3d.network.config import OFFICIAL
from vista3d.network.vista3d import Vista3D

HERE = Path(__file__).parent


def published_keys(name: str) -> dict[str, tuple[int, ...]]:
    """Key -> shape of a published layout (text file: one key and its shape a line)."""
    keys = {}
    for line in (HERE / name).read_text().splitlines():
        if line and not line.startswith("#"):
            key, shape = line.split(maxsplit=1)
            inner = shape[shape.index("(") + 1 : shape.index(")")]
            keys[key] = tuple(int(n) for n in inner.replace(",", " ").split())
    return keys


def filled(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Formula-filled tensors of the same keys and shapes."""
    out = {}
    for t, key in enumerate(sorted(state)):
        shape, count = state[key].shape, state[key].numel()
        r = np.sin(0.37 * np.arange(count) + 1.3 * t)
        if key.endswith("positional_encoding_gaussian_matrix"):
            values = r
        elif "norm" in key and key.endswith(".weight"):
            values = 1 + 0.1 * r
        elif key.endswith(".bias"):
            values = 0.1 * r
        elif len(shape) == 2 and ("embed" in key or "mask_tokens" in key):
            values = 0.5 * r
        else:
            values = r * np.sqrt(2 * shape[0] / count)
        out[key] = torch.from_numpy(values.astype(np.float32).reshape(shape))
    return out


@pytest.fixture(scope="session")
def official() -> Vista3D:
    with torch.device("meta"):
        network = Vista3D(OFFICIAL)
    network.load_state_dict(filled(network.state_dict()), assign=True)
    return network.eval().requires_grad_(False)
