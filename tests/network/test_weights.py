"""From a name to a file, without the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from vista3d.errors import WeightsError
from vista3d.network import weights


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine."""
    monkeypatch.setenv("VISTA3D_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "home"


def test_a_published_model_put_there_by_hand_is_found(home: Path):
    with pytest.raises(WeightsError) as caught:
        weights.resolve("official")
    path = home / "official" / "model.pt"
    assert "run `vista3d download official`" in str(caught.value)
    assert str(path) in str(caught.value)
    path.parent.mkdir(parents=True)
    path.touch()
    assert weights.resolve("official") == path


def test_a_path_is_itself_and_a_wrong_name_says_which_there_are(home: Path, tmp_path: Path):
    path = tmp_path / "a.safetensors"
    path.touch()
    assert weights.resolve(str(path)) == path
    with pytest.raises(WeightsError, match="no model 'big': give a file, or one of mini"):
        weights.resolve("big")


def test_a_damaged_receipt_is_no_receipt(home: Path):
    assert weights.receipt("official") == {}
    home.mkdir()
    (home / "official.json").write_text("{")
    assert weights.receipt("official") == {}
