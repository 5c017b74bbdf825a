"""Data sets as evaluation takes them: what a label file states, and what is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from vista3d.errors import InputError, UsageError
from vista3d.evaluation.case import Target
from vista3d.studies.cases import Choice, evaluation_cases
from vista3d.training.data.cases import read_cases

LABELS = {"background": 0, "liver": 1, "left kidney": 2, "odd thing": 3, "more liver": 4}
META = SimpleNamespace(names={}, config=SimpleNamespace(embeddings=512))
ALL = Choice(split=None)


def dataset(root: Path, cases: list[dict], name: str = "Dataset001_Made") -> Path:
    """nnU-Net raw layout with empty files: nothing is read before a scan is evaluated."""
    folder = root / name
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for case in cases:
        (folder / "imagesTr" / f"{case['case']}_0000.nii.gz").touch()
        (folder / "labelsTr" / f"{case['case']}.nii.gz").touch()
    about = {
        "channel_names": {"0": "CT"}, "labels": LABELS, "file_ending": ".nii.gz", "cases": cases,
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder


def mapping(root: Path, **rules: object) -> Path:
    path = root / "mapping.json"
    path.write_text(json.dumps({"datasets": {"Dataset001_Made": rules}}))
    return path


def test_prompts_are_the_data_sets_and_targets_the_scans(tmp_path):
    folder = dataset(tmp_path, [{"case": "a"}, {"case": "b", "annotated": ["liver"]}])
    whole, part = evaluation_cases([folder], ALL, META)
    assert whole.prompts == part.prompts == (1, 14)
    assert [t.class_id for t in whole.targets if t.class_id] == [1, 14]
    assert [t.class_id for t in part.targets if t.class_id] == [1]


def test_labels_without_a_class_are_novel_and_never_absent(tmp_path):
    (case,) = evaluation_cases([dataset(tmp_path, [{"case": "a"}])], ALL, META)
    novel = [target for target in case.targets if target.class_id is None]
    assert Target("odd thing", None, (3,), absence=False) in novel


def test_several_labels_of_one_class_are_its_union(tmp_path):
    folder = dataset(tmp_path, [{"case": "a"}])
    choice = Choice(split=None, mapping=mapping(tmp_path, labels={"more liver": "liver"}))
    (case,) = evaluation_cases([folder], choice, META)
    assert case.targets[0] == Target("liver", 1, (1, 4))


def test_a_missing_label_may_mean_not_drawn(tmp_path):
    folder = dataset(tmp_path, [{"case": "a"}])
    choice = Choice(split=None, mapping=mapping(tmp_path, complete=False))
    (case,) = evaluation_cases([folder], choice, META)
    assert not any(target.absence for target in case.targets)


def test_a_models_own_class_is_found_by_its_name(tmp_path):
    meta = SimpleNamespace(names={346: "Odd Thing"}, config=META.config)
    (case,) = evaluation_cases([dataset(tmp_path, [{"case": "a"}])], ALL, meta)
    assert Target("Odd Thing", 346, (3,)) in case.targets
    assert 346 in case.prompts


def test_named_labels_are_the_only_ones(tmp_path):
    folder = dataset(tmp_path, [{"case": "a"}])
    choice = Choice(split=None, labels="4:spleen,odd thing:new:my lesion")
    (case,) = evaluation_cases([folder], choice, META)
    found = {t.name: (t.class_id, t.values) for t in case.targets}
    assert found == {"spleen": (3, (4,)), "odd thing": (None, (3,))}
    assert case.prompts == (3,)


def test_refusals(tmp_path):
    one = dataset(tmp_path, [{"case": "a"}])
    two = dataset(tmp_path, [{"case": "a"}], "Dataset002_Too")
    with pytest.raises(UsageError, match="--map is for one data set"):
        evaluation_cases([one, two], Choice(split=None, labels="1:liver"), META)
    names = "Dataset001_Made, Dataset002_Too"
    with pytest.raises(UsageError, match=rf"{names}: .* take another \(--split\)"):
        evaluation_cases([one, two], Choice(split="test", limit=0), META)
    with pytest.raises(UsageError, match=f"{names}: no scan has a truth"):
        evaluation_cases([one, two], Choice(split=None, limit=0), META)
    with pytest.raises(UsageError, match="no label 'livr'"):
        evaluation_cases([one], Choice(split=None, labels="livr:liver"), META)


def test_two_data_sets_of_one_name_are_refused(tmp_path):
    cases = [{"case": "a", "annotated": ["liver"]}]
    here, there = (dataset(tmp_path / hospital, cases) for hospital in ("here", "there"))
    with pytest.raises(InputError, match=r"here.*there.* are both called 'Dataset001_Made'"):
        evaluation_cases([here, there], ALL, META)


def test_the_limit_is_for_each_data_set(tmp_path):
    cases = [{"case": name} for name in "abc"]
    folders = [dataset(tmp_path, cases), dataset(tmp_path, cases, "Dataset002_Too")]
    found = evaluation_cases(folders, Choice(split=None, limit=2), META)
    assert [(case.dataset[-4:], case.name) for case in found] == [
        ("Made", "a"), ("Made", "b"), ("_Too", "a"), ("_Too", "b"),
    ]  # fmt: skip


def test_the_seed_of_the_split_is_the_mapping_files_for_all_who_read_it(tmp_path):
    folder = dataset(tmp_path, [{"case": f"c{number}"} for number in range(60)])
    path = tmp_path / "mapping.json"
    held_out = []
    for content in ({}, {"split_seed": 0}, {"split_seed": 1}):
        path.write_text(json.dumps({"datasets": {}, **content}))
        trained = {case.name for case in read_cases(folder, "train", path)}
        choice = Choice("validation", path)
        held_out.append({case.name for case in evaluation_cases([folder], choice, META)})
        assert held_out[-1] == {case.name for case in read_cases(folder, "validation", path)}
        assert trained.isdisjoint(held_out[-1])
    shipped = {case.name for case in evaluation_cases([folder], Choice(), META)}
    assert shipped == held_out[0] == held_out[1] != held_out[2]
