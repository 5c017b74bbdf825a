from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.conftest import LIVER
from tests.training.recipes import AUTO, POINTS, TINY, start
from vista3d.network.about import about
from vista3d.network.checkpoint import load_checkpoint
from vista3d.network.metadata import CheckpointMeta
from vista3d.training.claims import TERMS, licence
from vista3d.training.data.cases import read_cases
from vista3d.training.data.prepared import Prepared
from vista3d.training.export import export

MINE = 400
"""A class of a model's own."""


@pytest.fixture
def given() -> CheckpointMeta:
    """A model of somebody else, with a class of its own and trained clicks."""
    return CheckpointMeta(
        name="given", config=TINY, spacing=(4.0,) * 3, window=(64,) * 3, intensity=(-1000, 1000),
        classes=(LIVER, 121, MINE), names={MINE: "my tumour"}, margins={LIVER: 0.5}, single=(121,),
        licence="No commerce.", exclusive=False, click_memory=False,
        provenance={"seen": ["0a"], "training_cases": {"Theirs": 3}, "licences": {"Theirs": "CC0"}},
    )  # fmt: skip


def test_a_stage_keeps_what_an_earlier_stage_says(torso: Prepared, tmp_path: Path):
    auto = start(replace(AUTO, patch=48), tmp_path / "auto")
    said = export(auto, [torso], tmp_path / "a.safetensors")
    _, first = load_checkpoint(tmp_path / "a.safetensors")
    assert first == said
    assert first.window == (48, 48, 48)
    assert first.provenance["point_branch"] == "untrained"
    assert first.classes == tuple(sorted(torso.locations))

    points = start(POINTS, tmp_path / "points", auto.average)
    export(points, [torso], tmp_path / "b.safetensors", first)
    _, second = load_checkpoint(tmp_path / "b.safetensors")
    assert second.window == (48, 48, 48)
    assert second.point_window == (32, 32, 32)
    assert second.point_context == (48, 48, 48)
    assert second.provenance["point_branch"] == "trained"
    assert [stage["parts"] for stage in second.provenance["stages"]] == [
        ["encoder", "auto"],
        ["points"],
    ]

    # The automatic branch again: the clicks' window is still what it was.
    later = start(AUTO, tmp_path / "later", points.average)
    export(later, [torso], tmp_path / "c.safetensors", second)
    _, third = load_checkpoint(tmp_path / "c.safetensors")
    assert (third.window, third.point_window) == ((32, 32, 32), (32, 32, 32))
    assert third.point_context == (48, 48, 48)


def test_a_window_that_is_its_own_context_is_released_style(torso: Prepared, tmp_path: Path):
    run = start(replace(POINTS, patch=32), tmp_path)
    assert export(run, [torso], tmp_path / "a.safetensors").point_context is None


def test_a_stage_of_clicks_leaves_the_classes_as_they_were(given, torso: Prepared, tmp_path: Path):
    said = export(start(POINTS, tmp_path), [torso], tmp_path / "a.safetensors", given)
    kept = ("classes", "names", "modalities", "exclusive", "margins", "single", "window")
    assert {name: getattr(said, name) for name in kept} == {n: getattr(given, n) for n in kept}
    assert said.click_memory
    assert said.provenance["point_branch"] == "trained"


def test_classes_that_did_not_compete_do_not_say_together_what_is_background(
    torso: Prepared, tmp_path: Path
):
    run = start(replace(AUTO, loss="released"), tmp_path)
    assert not export(run, [torso], tmp_path / "a.safetensors").exclusive


def test_class_prompts_that_are_trained_on_are_other_ones(given, torso: Prepared, tmp_path: Path):
    said = export(start(AUTO, tmp_path), [torso], tmp_path / "a.safetensors", given)
    assert said.classes == tuple(sorted(torso.locations))
    assert (said.names, said.margins, said.exclusive) == ({}, {}, True)
    assert not said.click_memory  # the clicks are the given model's
    assert said.clicks_left_behind
    again = export(start(AUTO, tmp_path), [torso], tmp_path / "b.safetensors", said)
    assert again.clicks_left_behind
    frozen = start(replace(AUTO, parts=("auto",)), tmp_path / "frozen")
    assert not export(frozen, [torso], tmp_path / "c.safetensors", given).clicks_left_behind


def test_a_licence_claims_nothing_of_anybodys_data(given, torso: Prepared, tmp_path: Path):
    own = torso.case.source.name
    alone = export(start(AUTO, tmp_path), [torso], tmp_path / "a.safetensors")
    assert alone.licence.startswith(f"Trained on {own} (no licence stated), whose terms hold.")
    onward = export(start(AUTO, tmp_path), [torso], tmp_path / "b.safetensors", given)
    assert onward.licence == "No commerce." + TERMS
    assert onward.provenance["training_cases"] == {"Theirs": 3, own: 1}
    assert onward.provenance["licences"] == {"Theirs": "CC0", own: ""}
    assert onward.provenance["seen"] == ["0a"]
    # Another stage on the same data, or on the first model's own, adds nothing.
    assert licence(onward, [torso.case]) == onward.licence
    theirs = replace(torso.case, source=replace(torso.case.source, name="Theirs", licence="CC0"))
    assert licence(given, [theirs]) == given.licence
    # Other data of the same name does.
    other = replace(theirs, source=replace(theirs.source, licence="CC BY-NC"))
    assert licence(given, [other]) == "No commerce." + TERMS


def test_mini_trained_on_says_what_mini_says(torso: Prepared, corpus: Path, tmp_path: Path):
    """By `vista3d train --data ../shared/data --initial mini --stages 3,5`."""
    mini = about("mini")
    classes = dict.fromkeys(mini.classes, torso.locations[LIVER])
    cases = [
        replace(torso, case=case, locations=classes, annotated=frozenset(classes))
        for case in read_cases(corpus, "train")
    ]
    third = start(replace(AUTO, patch=80, name="3-auto-level"), tmp_path / "3")
    points = start(replace(POINTS, patch=64, window=32, name="5-points"), tmp_path / "5")
    said = export(third, cases, tmp_path / "a.safetensors", mini)
    assert said.clicks_left_behind
    said = export(points, cases, tmp_path / "b.safetensors", said)
    open_ = {"name": "mini", "config": mini.config, "spacing": mini.spacing}  # of the test's recipe
    later = {"margins": mini.margins, "provenance": mini.provenance}
    assert replace(said, **open_, **later) == mini
    assert said.margins == {}
    assert said.provenance["training_cases"] == mini.provenance["training_cases"]
    assert said.provenance["stages"][:-2] == mini.provenance["stages"]
    assert not said.clicks_left_behind
