"""Reports of runs that nobody had to make."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from vista3d.errors import InputError
from vista3d.evaluation.metrics import Score
from vista3d.evaluation.part import Part
from vista3d.evaluation.report import Report, compare
from vista3d.evaluation.report.markdown import markdown
from vista3d.evaluation.row import Row
from vista3d.evaluation.run_folder import FORMAT, Run, read_runs, told_apart
from vista3d.evaluation.settings import Settings

MODEL = {
    "name": "m", "sha256": "0" * 64, "runtime": "torch", "precision": "fp32", "device": "cpu",
    "trained_on": {},
}  # fmt: skip


def row(dice: float, clicks: int = 1, *, structure="tumour", dataset="Lung", case="a") -> Row:
    made = Score(dice, dice, 2.0, 10.0, 10.0)
    return Row(dataset, case, case, structure, None, clicks, clicks, made)


def run(rows: Sequence[Row], name: str = "one") -> Run:
    settings = Settings("clicks", clicks=tuple(sorted({r.clicks for r in rows})))
    return Run(settings, MODEL, told_apart(rows), {}, name)


def page(report: Report, folder: Path) -> str:
    report.write(folder)
    return (folder / "report.html").read_text()


def test_runs_of_other_budgets_are_compared_after_as_many_clicks(tmp_path):
    one = run([row(0.5, 1), row(0.7, 2), row(0.9, 20)], "one")
    two = run([row(0.6, 1), row(0.75, 2)], "two")
    text = page(Report((one, two)), tmp_path)
    assert "figures after 2 clicks" in text
    assert "0.700" in text
    assert "0.900" not in text
    (better,) = {d.dice.value for d in Report((one, two)).differences[1] if d.clicks == 2}
    assert better == pytest.approx(0.05)


def test_runs_without_a_budget_in_common_show_only_curves(tmp_path):
    text = page(Report((run([row(0.5, 1)], "one"), run([row(0.9, 20)], "two"))), tmp_path)
    assert "only their curves are shown" in text
    assert "0.900" not in text


def test_differences_are_told_outside_the_page_too(tmp_path):
    report = Report((run([row(0.5)], "one"), run([row(0.6)], "two")))
    report.write(tmp_path)
    assert "two better than the first run" in (tmp_path / "tables.md").read_text()
    first, second = json.loads((tmp_path / "summary.json").read_text())["runs"]
    assert first["differences"] == []
    assert second["differences"][0]["dice"]["value"] == pytest.approx(0.1)


def test_data_sets_have_figures_of_their_own(tmp_path):
    rows = [row(0.2, dataset="Lung"), row(0.8, dataset="Liver")]
    found = {(line.dataset, line.structure): line.dice.value for line in run(rows).lines}
    whole = "all structures"
    assert found["", whole] == pytest.approx(0.5)
    assert found["Lung", whole] == pytest.approx(0.2)
    # Two tumours of two data sets are two structures.
    assert found["", "tumour (Liver)"] == pytest.approx(0.8)
    assert "| Lung | **all structures** | 1 | 0.200 |" in markdown(Report((run(rows),)).listed)
    text = page(Report((run(rows),)), tmp_path)
    assert "<td>Lung</td>" in text


def test_names_of_somebodys_data_set_stay_text(tmp_path):
    report = Report((run([row(0.5, structure="=1+1|x")]),))
    report.write(tmp_path)
    (line,) = csv.DictReader((tmp_path / "scores.csv").open())
    assert line["structure"] == "'=1+1|x"
    assert "=1+1\\|x" in (tmp_path / "tables.md").read_text()


def folder(path: Path, rows: Sequence[Row], cases_of: dict[str, object] = MODEL) -> Path:
    """A run on disk, its cases made by another model if one is given."""
    own = path / "clicks"
    own.mkdir(parents=True)
    settings = Settings("clicks", clicks=(1,)).document()
    cases = [{"dataset": r.dataset, "case": r.case, "file": f"{r.case}.json"} for r in rows]
    document = {"format": FORMAT, "settings": settings, "model": MODEL, "failures": {}}
    (own / "run.json").write_text(json.dumps({**document, "cases": cases}))
    for each in rows:
        about = {"settings": settings, "model": cases_of, "rows": [each.to_json()]}
        (own / f"{each.case}.json").write_text(json.dumps(about))
    return path


def test_a_folder_that_mixes_models_is_refused(tmp_path):
    assert read_runs(folder(tmp_path / "good", [row(0.5)]))[0].rows[0].score.dice == 0.5
    with pytest.raises(InputError, match="of another run"):
        read_runs(folder(tmp_path / "bad", [row(0.5)], {**MODEL, "sha256": "1" * 64}))


def test_a_protocol_that_there_is_not_is_damage(tmp_path):
    path = folder(tmp_path, [row(0.5)]) / "clicks" / "run.json"
    path.write_text(path.read_text().replace('"protocol": "clicks"', '"protocol": "renamed"'))
    with pytest.raises(InputError, match="damaged"):
        read_runs(tmp_path)


def test_runs_are_called_by_as_many_parents_as_it_takes(tmp_path):
    folders = [folder(tmp_path / path, [row(0.5)]) for path in ("x/e/run", "y/e/run", "z")]
    assert [each.name for each in compare(folders).runs] == ["x/e/run", "y/e/run", "z"]


def test_surface_dice_of_other_tolerances_is_told(tmp_path, caplog):
    folders = [folder(tmp_path / name, [row(0.5)]) for name in ("a", "b")]
    for file in (folders[1] / "clicks").glob("*.json"):
        file.write_text(file.read_text().replace('"tolerance_mm": 1.0', '"tolerance_mm": 2.0'))
    compare(folders)
    assert "a and b (clicks) have surface Dice of 1 and 2 mm" in caplog.text


def test_runs_of_other_scans_say_so_each(tmp_path):
    some = replace(run([row(0.5)], "one"), part=Part("validation", 1, 3))
    report = Report((some, replace(run([row(0.6)], "two"), part=Part("all", 3, 3))))
    text = page(report, tmp_path)
    assert "one, clicks: split validation: 1 of 3 scans; --split all takes all." in text
    assert "two, clicks: split all: 3 of 3 scans." in text
    first, second = json.loads((tmp_path / "summary.json").read_text())["runs"]
    assert first["part"] == {"split": "validation", "scans": 1, "of": 3}
    assert second["part"]["split"] == "all"


def test_a_run_from_before_parts_were_kept_is_shown_without(tmp_path):
    (old,) = read_runs(folder(tmp_path / "old", [row(0.5)]))
    assert old.part is None
    assert "plit " not in markdown(Report((old,)).listed)
