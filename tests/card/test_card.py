"""Cards of the shipped, the published and any other model."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from tests.card.conftest import NAMED, SMALL
from vista3d.card import as_atlas, as_markdown, card_of, results_from
from vista3d.card.card import checksum
from vista3d.card.results import Results, Table, results_of
from vista3d.card.words import Words, words_of
from vista3d.errors import InputError, WeightsError
from vista3d.evaluation.metrics.score import Score, one_sided
from vista3d.evaluation.row import Row
from vista3d.evaluation.run_folder import FORMAT
from vista3d.evaluation.settings import Settings
from vista3d.network.checkpoint import load_checkpoint, save_checkpoint
from vista3d.network.vista3d import Vista3D

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_documented_card_is_what_the_command_prints():
    """After a change of words, tables or weights: `python -m benchmarks model_card`."""
    assert (DOCS / "model_card.md").read_text("utf-8") == as_markdown(card_of("mini"))


def test_pictures_of_the_documented_card_exist():
    assert all((DOCS / path).is_file() for path, _ in words_of("mini").pictures)


@pytest.mark.parametrize("name", NAMED)
def test_every_word_of_a_named_model_has_its_place(name):
    text = as_markdown(card_of(name))
    words = words_of(name)
    said = [words.summary, words.comments, *words.limitations, *words.training, *words.misuses]
    assert [part for part in said if part not in text] == []
    assert len(words.summary) <= 250  # ATLAS


def test_the_official_card_needs_no_weights_and_has_the_published_facts():
    card = card_of("official")
    assert card.parameters == 217_964_982
    assert len(card.meta.classes) == 124
    text = as_markdown(card)
    assert "| TotalSegmentator v2 | 0.893 | 0.884 | 0.918 |" in text
    assert "128^3 voxels" in text
    assert "NVIDIA Open Model License" in text


def test_a_fine_tuned_model_names_what_it_came_from(checkpoint):
    shipped = card_of("mini").meta
    base = {"name": "mini", **shipped.provenance}
    middle = {
        "name": "mini+one", "training_cases": {"Other": 3}, "licences": {"Other": "CC0"},
        "base": base,
    }  # fmt: skip
    _, meta = load_checkpoint(checkpoint)
    tuned = replace(meta, provenance={**meta.provenance, "base": middle})
    path = checkpoint.with_name("tuned.safetensors")
    save_checkpoint(path, Vista3D(SMALL).state_dict(), tuned)
    text = as_markdown(card_of(str(path)))
    assert "| Mine | 5 |  |  |" in text
    assert "| Other (of mini+one) | 3 | CC0 |  |" in text
    assert "| Dataset101_OpenKBP (of mini) | 182 | MIT | brain stem" in text
    assert "`vista3d card --model mini`" in text
    assert "Not measured." in text


def test_a_checkpoint_speaks_for_itself(checkpoint):
    text = as_markdown(card_of(str(checkpoint)))
    assert "grid of the scan, of liver, my tumour;" in text
    assert "new structures: my tumour" in text
    assert "| Mine | 5 |" in text
    assert "| tune | 7 | 3 |" in text
    assert "1.5 x 1.5 x 3 mm" in text
    assert "CC BY 4.0" in text
    assert "Not measured." in text


def test_a_checkpoint_called_mini_gets_nothing_of_the_shipped_model(checkpoint):
    card = card_of(str(checkpoint))
    assert card.words == words_of(None)
    assert card.results == Results()
    assert "OpenKBP" not in json.dumps(as_atlas(card)) + as_markdown(card)


def test_the_path_of_the_shipped_file_is_the_shipped_model():
    from vista3d.network.weights import EMBEDDED

    assert as_markdown(card_of(str(EMBEDDED["mini"]))) == as_markdown(card_of("mini"))


def test_an_untrained_point_branch_promises_no_clicks(checkpoint):
    card = card_of(str(checkpoint))
    assert "positive and negative" in as_markdown(card)
    untrained = replace(card.meta, provenance={"point_branch": "untrained"})
    text = as_markdown(replace(card, meta=untrained))
    assert "positive and negative" not in text
    assert "None: the point branch was not trained." in text


def test_no_model():
    with pytest.raises(WeightsError, match="no-such-model"):
        card_of("no-such-model")


def test_words_of_all_models_are_known_fields():
    for name in (*NAMED, None):
        words = words_of(name)
        assert words.title or name is None
        assert all(isinstance(getattr(words, f.name), (str, int, tuple)) for f in fields(Words))


def test_a_table_refuses_a_row_of_another_length():
    with pytest.raises(ValueError, match="does not fit"):
        Table("Dice", columns=("structure", "mean"), rows=(("liver", 0.9, 3),))


def test_learning_curves_of_a_training_run(tmp_path):
    run = tmp_path / "run"
    (run / "1-auto").mkdir(parents=True)
    stages = [{"name": "1-auto"}, {"name": "2-points"}]  # the second has not begun
    (run / "recipe.json").write_text(json.dumps({"seed": 5, "stages": stages}))
    lines = ["10,loss,3.0", "10,seconds,2.0", "20,loss,1.0", "20,seconds,4.0"]
    lines += ["20,validation,0.25", "30,loss,0.5", "30,seconds,6.0", "30,validation,0.5"]
    (run / "1-auto" / "log.csv").write_text("\n".join(lines) + "\n")
    results = results_from(None, run, "an abacus")
    assert results is not None
    (table,) = results.training
    hours = (10 * 2 + 10 * 4) / 3600
    assert table.rows == (
        ("1-auto", 20, 2.0, 0.25, "", "", pytest.approx(hours)),
        ("1-auto", 30, 0.5, 0.5, "", "", pytest.approx(hours + 60 / 3600)),
    )
    assert "an abacus, seed 5" in table.notes[0]


def evaluation(folder: Path, settings: Settings, rows: list[Row]) -> Path:
    """The folder of a run with one case, as `vista3d evaluate` leaves it."""
    model = {
        "name": "mini", "sha256": checksum("mini"), "runtime": "openvino", "precision": "bf16",
        "device": "cpu",
    }  # fmt: skip
    document = {
        "format": FORMAT, "settings": settings.document(), "model": model, "failures": {},
        "cases": [{"dataset": row.dataset, "case": row.case, "file": f"{row.case}.json"}
                  for row in {row.case: row for row in rows}.values()],
    }  # fmt: skip
    own = folder / settings.label
    own.mkdir(parents=True)
    (own / "run.json").write_text(json.dumps(document))
    for case in {row.case for row in rows}:
        values = [row.to_json() for row in rows if row.case == case]
        about = {"settings": settings.document(), "model": model, "rows": values}
        (own / f"{case}.json").write_text(json.dumps(about))
    return folder


def test_tables_of_an_automatic_evaluation(tmp_path):
    found, missed = Score(0.8, 0.9, 2.0, 10.0, 11.0), one_sided(10.0, 0.0)
    rows = [
        Row("Set", "a", "a", "liver", 1, 0, 0, found),
        Row("Set", "b", "b", "liver", 1, 0, 0, missed),
        Row("Set", "b", "b", "spleen", 3, 0, 0, one_sided(0.0, 5.0)),
    ]
    results = results_from(evaluation(tmp_path, Settings("auto", tolerance_mm=5), rows), None)
    assert results is not None
    (table,) = results.performance
    lines = {row[0]: row for row in table.rows}
    assert table.columns[3:5] == ("Dice", "surface Dice, 5 mm")
    assert lines["liver"][1:5] == ("2", "0.0", "0.400 (0.000 to 0.800)", "0.450 (0.000 to 0.900)")
    assert lines["liver"][6:] == ("−45 %", "1", "–")
    assert lines["spleen"][1:4] == ("0", "0.0", "0.000")
    assert lines["spleen"][-1] == "1 of 1"
    assert "2 scans of Set" in table.notes[0]
    assert "`vista3d evaluate --protocol auto --tolerance 5`" in table.notes[0]
    assert "openvino bf16" in table.notes[0]


def test_tables_of_clicks_have_a_column_a_budget(tmp_path):
    rows = [
        Row("Set", "a", "a", "tumour", None, clicks, clicks, Score(dice, 0.5, 3.0, 10.0, 9.0))
        for clicks, dice in ((1, 0.5), (3, 0.75))
    ]
    settings = Settings("zero-shot", clicks=(1, 3))
    results = results_from(evaluation(tmp_path, settings, rows), None)
    assert results is not None
    (table,) = results.performance
    assert table.columns == ("structure", "scans", "1 click", "3 clicks")
    assert ("tumour", "1", "0.500", "0.750") in table.rows
    text = as_markdown(card_of("mini", results))
    assert "| tumour | 1 | 0.500 | 0.750 |" in text
    assert "brain-stem" not in text.split("## How well")[1].split("## Where")[0]
    assert "Learning curves" in text  # nobody measured another training


def test_an_evaluation_of_another_model_is_refused(tmp_path, checkpoint):
    row = Row("Set", "a", "a", "liver", 1, 0, 0, Score(0.8, 0.9, 2.0, 10.0, 11.0))
    results = results_from(evaluation(tmp_path, Settings("auto"), [row]), None)
    with pytest.raises(InputError, match="of another model"):
        card_of(str(checkpoint), results)
    file = tmp_path / "auto" / "run.json"
    (tmp_path / "point").mkdir()
    text = file.read_text().replace(checksum("mini"), "0" * 64).replace('"auto"', '"point"')
    (tmp_path / "point" / "run.json").write_text(text)
    (tmp_path / "point" / "a.json").write_text(
        (tmp_path / "auto" / "a.json").read_text().replace(checksum("mini"), "0" * 64)
        .replace('"auto"', '"point"')
    )  # fmt: skip
    with pytest.raises(InputError, match="runs of 2 models"):
        results_from(tmp_path, None)


def test_the_tables_in_the_package_are_of_the_weights_in_the_package():
    assert results_of("mini").model == checksum("mini")


def test_folders_without_a_run_are_refused(tmp_path):
    with pytest.raises(InputError, match="no training run"):
        results_from(None, tmp_path)
    with pytest.raises(InputError, match="no evaluation"):
        results_from(tmp_path, None)


def test_results_go_through_a_file(monkeypatch, tmp_path):
    table = Table("Dice", ("a note",), ("structure", "Dice"), (("liver", 0.5), ("spleen", "0.7")))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "mini.json").write_text(Results((table,)).to_json())
    monkeypatch.setattr("vista3d.card.results.files", lambda package: tmp_path)
    card = card_of("mini")
    assert card.results == Results((table,))
    assert "### Dice\n\na note\n\n| structure | Dice |" in as_markdown(card)
    assert "Dice (Dice): liver: 0.500; spleen: 0.7. a note" in str(as_atlas(card))
