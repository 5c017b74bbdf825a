from dataclasses import replace
from pathlib import Path

from tests.training.test_run import CLICKS, CONFIG
from vista3d.network.checkpoint import load_checkpoint
from vista3d.training.export import export
from vista3d.training.prepared import Prepared
from vista3d.training.run import Phase, Run


def test_a_run_of_one_part_keeps_what_the_other_part_says(torso: Prepared, tmp_path: Path):
    auto = Run(replace(CONFIG, phases=(Phase(48, 1),)), tmp_path / "auto")
    export(auto, [torso], tmp_path / "a.safetensors")
    _, first = load_checkpoint(tmp_path / "a.safetensors")
    assert first.window == (48, 48, 48)
    assert first.provenance["point_branch"] == "untrained"
    assert first.classes == tuple(sorted(torso.locations))

    points = Run(CLICKS, tmp_path / "points", initial=auto.average)
    export(points, [torso], tmp_path / "b.safetensors", first)
    _, second = load_checkpoint(tmp_path / "b.safetensors")
    assert second.window == (48, 48, 48)
    assert second.point_window == (32, 32, 32)
    assert second.provenance["point_branch"] == "trained"
    assert [stage["parts"] for stage in second.provenance["stages"]] == [
        ["encoder", "auto"],
        ["points"],
    ]
