from dataclasses import replace
from pathlib import Path

from tests.training.recipes import AUTO, POINTS, start
from vista3d.network.checkpoint import load_checkpoint
from vista3d.training.data.prepared import Prepared
from vista3d.training.export import export


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
