import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.network.test_checkpoint import META, TINY
from vista3d.errors import WeightsError
from vista3d.network.checkpoint import load_checkpoint, save_checkpoint
from vista3d.network.metadata import CheckpointMeta
from vista3d.network.vista3d import Vista3D

NAMED = replace(META, classes=(1, 346), names={346: "my tumour"})


def test_names_of_new_classes_travel_in_the_file(tmp_path: Path):
    path = tmp_path / "named.safetensors"
    save_checkpoint(path, Vista3D(TINY).state_dict(), NAMED)
    _, found = load_checkpoint(path)
    assert found == NAMED
    assert CheckpointMeta.peek(path) == NAMED


def test_a_file_of_an_earlier_version_has_no_names():
    text = META.to_json().replace('"names": {}, ', "")
    assert "names" not in text
    assert CheckpointMeta.from_json(text, "old") == META


def test_modalities_travel_in_the_file():
    meta = replace(META, modalities=("ct", "mr"))
    assert CheckpointMeta.from_json(meta.to_json(), "a") == meta
    old = json.loads(META.to_json())
    del old["modalities"]
    assert CheckpointMeta.from_json(json.dumps(old), "a").modalities == ()


def test_clicks_know_the_trained_classes_up_to_the_last_supported():
    meta = replace(META, classes=(1, 3, 134), config=replace(META.config, last_supported=132))
    assert meta.clickable == {1, 3}


def test_a_name_needs_a_class():
    with pytest.raises(ValueError, match="names"):
        replace(META, names={346: "my tumour"})


def test_peeking_at_files_without_our_metadata(tmp_path: Path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "model.pt")
    assert CheckpointMeta.peek(tmp_path / "model.pt") is None
    assert CheckpointMeta.peek(tmp_path / "missing.safetensors") is None


def test_damaged_metadata_is_told_on_peeking(tmp_path: Path):
    from safetensors.torch import save_file

    path = tmp_path / "damaged.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"vista3d": '{"format": "vista3d-1"}'})
    with pytest.raises(WeightsError, match=r"damaged\.safetensors"):
        CheckpointMeta.peek(path)
