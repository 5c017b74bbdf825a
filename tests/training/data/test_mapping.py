import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vista3d import anatomy
from vista3d.errors import InputError
from vista3d.training.data.case import to_global
from vista3d.training.data.cases import read_cases
from vista3d.training.data.label_table import label_table
from vista3d.training.data.layouts import find_listings
from vista3d.training.data.layouts.listing import Listing
from vista3d.training.data.mapping import Rules, read_mapping, shipped_mapping


def _file(folder: Path, content: Any) -> Path:
    path = folder / "mapping.json"
    path.write_text(json.dumps(content))
    return path


def _rules(folder: Path, **rules: Any) -> Path:
    return _file(folder, {"datasets": {"Dataset001_Made": rules}})


def test_labels_mean_what_the_file_says_then_their_names(
    data_set: Callable[..., Path], tmp_path: Path
):
    folder = data_set(1)
    path = _rules(tmp_path, labels={"liver": "hepatic tumor", "2": None}, novel=["stomach"])
    rules = read_mapping(path).rules("Dataset001_Made")
    rows = {row.name: row for row in label_table(find_listings(folder)[0], rules).rows}
    assert (rows["liver"].class_id, rows["liver"].reason) == (26, "mapping file")
    assert (rows["spleen"].class_id, rows["spleen"].reason) == (None, "never a target")
    assert (rows["stomach"].class_id, rows["stomach"].reason) == (None, "novel")
    assert (rows["kidney_left"].class_id, rows["kidney_left"].reason) == (14, "name")
    (case,) = read_cases(folder, None, path)
    assert case.annotated == {26, 14, 5}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"labels": {"liver": "livr"}}, "labels: liver: unknown class 'livr': did you mean liver"),
        ({"labels": {"liver": "kidney"}}, "stands for 2 classes"),
        ({"labels": {"livr": "liver"}}, "has no label 'livr'.*did you mean liver"),
        ({"novel": ["tumor"]}, "has no label 'tumor'"),
        ({"absent": ["spleeen"]}, "absent: unknown class 'spleeen': did you mean spleen"),
        ({"wieght": 1}, "unknown key 'wieght': did you mean weight"),
        ({"weight": -1}, "weight -1"),
        ({"variation": 1.5}, "variation 1.5 must be a number >= 0 and <= 1"),
        ({"complete": "no"}, "must be true or false"),
        ({"splits": [0.5, 0.1, 0.1]}, "sum to 1"),
        ({"splits": [1]}, "sum to 1"),
        ({"labels": ["liver"]}, "must map local labels"),
    ],
)
def test_refusals_say_where_and_suggest(
    data_set: Callable[..., Path], tmp_path: Path, rules: dict[str, Any], message: str
):
    folder = data_set(1)
    with pytest.raises(InputError, match=message):
        read_cases(folder, None, _rules(tmp_path, **rules))


@pytest.mark.parametrize("seed", ["1", 1.5, True])
def test_a_seed_is_a_whole_number(tmp_path: Path, seed: object):
    with pytest.raises(InputError, match=r"split_seed .* must be a whole number"):
        read_mapping(_file(tmp_path, {"split_seed": seed}))


def test_rules_for_a_data_set_that_is_not_there(data_set: Callable[..., Path], tmp_path: Path):
    path = _file(tmp_path, {"datasets": {"Dataset01_Made": {}}})
    with pytest.raises(InputError, match="did you mean Dataset001_Made"):
        read_cases(data_set(1), None, path)


def test_an_annotated_label_that_does_not_exist(data_set: Callable[..., Path]):
    with pytest.raises(InputError, match=r"annotated label 'livre'.*did you mean liver"):
        read_cases(data_set(1, cases=[{"case": "p0", "annotated": ["livre"]}]), None)


def test_a_superclass_is_no_target():
    listing = Listing("x", Path("x.json"), {"kidney": 1, "gizmo": 2}, ())
    table = label_table(listing, Rules())
    assert [row.reason for row in table.rows] == ["several classes", "unknown"]
    assert table.mapping == {}


def test_a_structure_comes_before_the_group_of_its_name(
    data_set: Callable[..., Path], tmp_path: Path
):
    path = _rules(tmp_path, labels={"liver": "heart", "spleen": 3})
    (case,) = read_cases(data_set(1), None, path)
    assert (case.mapping[1], case.mapping[2]) == (115, 3)


def test_the_official_file_is_read(tmp_path: Path):
    path = _file(tmp_path, {"Task09": [[1, 3]], "CTPelvic1K-CLINIC": [[1, 97], [2, 95]]})
    assert read_mapping(path).rules("Task09").labels == {"1": 3}


@given(
    st.dictionaries(st.integers(1, 250), st.integers(1, 132), max_size=20),
    st.lists(st.integers(0, 255), min_size=1, max_size=50),
)
def test_mapped_values_become_classes_and_others_background(
    mapping: dict[int, int], labels: list[int]
):
    out = to_global(np.array(labels), mapping)
    assert out.tolist() == [mapping.get(value, 0) for value in labels]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"A": [[1, 2, 3]]}, r"A: \[1, 2, 3\] must be a pair"),
        ({"A": [5]}, "A: 5 must be a pair"),
        ({"A": [[1, "liver"]]}, "must be a pair"),
        ({"datasets": {"A": {"novel": 5}}}, "A: novel 5 must be a list"),
    ],
)
def test_what_is_no_list_of_labels(tmp_path: Path, content: dict[str, object], message: str):
    with pytest.raises(InputError, match=message):
        read_mapping(_file(tmp_path, content))


def test_a_negative_value_is_not_counted_from_the_end():
    with pytest.raises(InputError, match="label -1 is negative"):
        to_global(np.array([0, 1, -1]), {1: 3})


def test_a_large_value_takes_no_memory():
    assert to_global(np.array([2, 4_000_000_000]), {2: 7}).tolist() == [7, 0]


def test_the_shipped_file_keeps_novel_structures_from_training(corpus: Path):
    novel = {210, 200, 201}
    for case in read_cases(corpus, None):
        assert not novel & (case.annotated | set(case.mapping.values()))
    assert anatomy.by_id(210).name == "larynx"
    weights = {c.source.name: c.source.weight for c in read_cases(corpus, "train")}
    assert weights == {
        "Dataset101_OpenKBP": 0.6, "Dataset103_TorsoPseudo": 0.25, "Dataset105_LabelMaps": 0.15,
    }  # fmt: skip


def test_partial_labels_keep_their_own_class_sets(corpus: Path):
    cases = {c.name: c for c in read_cases(corpus / "Dataset103_TorsoPseudo", "train")}
    assert len(cases["lidc_0001"].annotated) > 80
    assert len(cases["totalseg_heart"].annotated) == 2
    assert not any(case.annotated & case.source.absent for case in cases.values())
    assert shipped_mapping().head >= {121, 220}
