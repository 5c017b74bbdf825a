import json
from pathlib import Path

import pytest

from vista3d.evaluation import case_file
from vista3d.evaluation.case import EvaluationCase
from vista3d.evaluation.metrics import Score
from vista3d.evaluation.row import Row
from vista3d.evaluation.settings import Settings

ROWS = [Row("set", "a", "a", "liver", 1, 5, 3, Score(0.5, 0.4, 3.0, 10.0, 9.0))]


def test_rows_survive(tmp_path):
    path = tmp_path / "a.json"
    case_file.write_rows(path, ROWS, {"model": "x"})
    assert case_file.read_rows(path, {"model": "x"}) == ROWS


def test_rows_of_something_else_do_not_count(tmp_path):
    path = tmp_path / "a.json"
    case_file.write_rows(path, ROWS, {"model": "x"})
    assert case_file.read_rows(path, {"model": "y"}) is None
    path.write_text(path.read_text()[:-20])
    assert case_file.read_rows(path, {"model": "x"}) is None


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "a/b", ".hidden", "x\ny"])
def test_names_of_lists_stay_in_the_folder(tmp_path, name):
    case = EvaluationCase(name, name, "p", Path("i"), Path("l"), (), ())
    path = case_file.path_of(tmp_path, Settings("auto"), case).resolve()
    assert path.is_relative_to(tmp_path.resolve() / "auto")
    assert len(path.relative_to(tmp_path.resolve()).parts) == 3


def test_settings_survive():
    made = Settings("clicks", True, (1, 2), ("liver",), 2.0, False, 4)
    assert Settings.from_document(json.loads(json.dumps(made.document()))) == made
    assert made.label == "clicks-official"
