"""What several test folders share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CORPUS = Path(
    os.environ.get("VISTA3D_CORPUS", Path(__file__).resolve().parents[1].parent / "shared" / "data")
)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real CT; the test is skipped where it is missing."""
    if not (CORPUS / "Dataset103_TorsoPseudo" / "dataset.json").is_file():
        pytest.skip(f"the CT corpus is not at {CORPUS}: set VISTA3D_CORPUS")
    return CORPUS
