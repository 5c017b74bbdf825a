"""`vista3d convert`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.cli.conftest import save_tiny
from vista3d.network.checkpoint import load_checkpoint


@pytest.fixture
def convert(capsys: pytest.CaptureFixture[str]):
    """Type the command; gives its exit code and all it says."""

    def call(*arguments: object) -> tuple[int, str]:
        from vista3d.cli.main import main

        with pytest.raises(SystemExit) as stop:
            main(["convert", *map(str, arguments)])
        captured = capsys.readouterr()
        return int(stop.value.code or 0), captured.out + captured.err

    return call


@pytest.fixture
def tiny_checkpoint(tmp_path: Path) -> Path:
    """With the released number of heads: files of the bundle's layout do not say another."""
    return save_tiny(tmp_path)


def test_there_and_back(convert, tiny_checkpoint: Path, tmp_path: Path):
    code, said = convert(tiny_checkpoint, tmp_path / "bundle.pt")
    assert code == 0, said
    assert "licence: CC BY 4.0" in said
    code, said = convert(tmp_path / "bundle.pt", tmp_path / "back.safetensors")
    assert code == 0, said
    before, _ = load_checkpoint(tiny_checkpoint)
    after, _ = load_checkpoint(tmp_path / "back.safetensors")
    for name, value in before.state_dict().items():
        assert torch.equal(value, after.state_dict()[name]), name


def test_an_existing_target_is_kept_unless_asked(convert, tiny_checkpoint: Path, tmp_path: Path):
    target = tmp_path / "a.pt"
    target.write_bytes(b"mine")
    code, said = convert(tiny_checkpoint, target)
    assert code == 2
    assert "--overwrite" in said
    assert target.read_bytes() == b"mine"
    assert convert(tiny_checkpoint, target, "--overwrite")[0] == 0
    assert target.read_bytes() != b"mine"


def test_the_settings_of_a_bare_file_can_be_named(convert, tiny_checkpoint: Path, tmp_path: Path):
    convert(tiny_checkpoint, tmp_path / "bare.pt")
    target = tmp_path / "a.safetensors"
    code, said = convert(tmp_path / "bare.pt", target, "--as", "official-ctmr", "--half")
    assert code == 0, said
    _, meta = load_checkpoint(target)
    assert (meta.name, meta.window) == ("official-ctmr", (192, 192, 128))
    code, said = convert("minni", tmp_path / "b.safetensors")
    assert code == 6
    assert "no model 'minni': give a file, or one of mini" in said
    code, said = convert(tmp_path / "bare.pt", target, "--as", "mine")
    assert code == 2
    assert "one of official, official-ctmr" in said


def test_a_file_that_is_no_checkpoint_exits_with_6(convert, tmp_path: Path):
    (tmp_path / "a.pt").write_bytes(b"no checkpoint")
    code, said = convert(tmp_path / "a.pt", tmp_path / "b.safetensors")
    assert code == 6
    assert "a.pt is damaged" in said
    assert not (tmp_path / "b.safetensors").exists()
