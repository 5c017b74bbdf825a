"""See `made`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.finetuning.made import make_base, make_dataset


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base") / "tiny.safetensors")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scans; the block is missing in the second."""
    return make_dataset(tmp_path_factory.mktemp("data") / "Dataset001_Made", lacking=(1,))
