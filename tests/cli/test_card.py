"""`vista3d card`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vista3d.card import as_markdown, card_of
from vista3d.cli.main import main


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["card", *arguments])
    return int(stop.value.code or 0)


def test_prints_the_card_of_the_shipped_model(capsys):
    assert call() == 0
    assert capsys.readouterr().out == as_markdown(card_of("mini"))


def test_writes_a_file_for_a_checkpoint(tiny_checkpoint: Path, tmp_path: Path, capsys):
    out = tmp_path / "cards" / "tiny.json"
    assert call("--model", str(tiny_checkpoint), "--format", "atlas", "-o", str(out)) == 0
    assert capsys.readouterr().out == ""
    document = json.loads(out.read_text("utf-8"))
    assert document["Model"]["Descriptors"]["License"] == {"Text": "CC BY 4.0"}
    output = document["Model"]["Model properties"]["Output"]["Description"]
    assert "grid of the scan, of liver, spleen, right kidney;" in output


def test_a_file_is_replaced_only_when_asked(tmp_path: Path, capsys):
    out = tmp_path / "card.md"
    out.write_text("corrected by hand")
    assert call("-o", str(out)) == 2
    assert "exists: add --overwrite" in capsys.readouterr().err
    assert out.read_text() == "corrected by hand"
    assert call("-o", str(out), "--overwrite") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["card.md"]
    assert out.read_text() == as_markdown(card_of("mini"))


def test_refuses_an_unknown_format(capsys):
    assert call("--format", "pdf") == 2
    assert "pdf" in capsys.readouterr().err


def test_says_what_models_there_are(capsys):
    assert call("--model", "nonsense") == 6
    assert "official" in capsys.readouterr().err
