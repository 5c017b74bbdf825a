"""The memory ladder, on made-up machines."""

from dataclasses import replace
from pathlib import Path

import pytest

from vista3d.errors import MemoryBudgetError
from vista3d.inference import budget
from vista3d.inference.budget import GIB, Demand, Supply, plan_memory

DEMAND = Demand(scan=1 * GIB, features=8 * GIB, window=2 * GIB, result=1 * GIB)


@pytest.mark.parametrize(
    ("supply", "rung"),
    [
        (Supply(host=None), "memory"),
        (Supply(host=16 * GIB, disk=100 * GIB), "memory"),
        (Supply(host=10 * GIB, disk=100 * GIB), "half"),
        (Supply(host=6 * GIB, disk=100 * GIB), "disk"),
        (Supply(host=16 * GIB, device=40 * GIB), "device"),
        (Supply(host=16 * GIB, device=8 * GIB), "memory"),
        (Supply(host=8 * GIB, device=8 * GIB), "half"),
    ],
)
def test_the_first_rung_that_fits_is_taken(supply: Supply, rung: str):
    chosen = plan_memory(DEMAND, supply)
    assert chosen.rung == rung
    if supply.host is not None:
        assert chosen.peak < supply.host
    assert chosen.summary()["rung"] == rung


def test_half_precision_features_are_kept_as_they_are():
    assert plan_memory(DEMAND, Supply(host=None), half=True).rung == "half"
    assert plan_memory(DEMAND, Supply(host=16 * GIB, device=40 * GIB), half=True).rung == "device"
    assert plan_memory(DEMAND, Supply(host=6 * GIB, disk=100 * GIB), half=True).rung == "disk"


@pytest.mark.parametrize(
    ("supply", "text"),
    [
        (Supply(host=3 * GIB, disk=100 * GIB), r"needs 4\.12 GiB .* 3\.00 GiB are free"),
        (Supply(host=6 * GIB, disk=1 * GIB), r"needs 8\.12 GiB"),
        (Supply(host=64 * GIB, device=1 * GIB), r"window needs 2\.0 GiB on the accelerator"),
    ],
)
def test_what_fits_nowhere_is_refused_with_numbers(supply: Supply, text: str):
    with pytest.raises(MemoryBudgetError, match=text):
        plan_memory(DEMAND, supply)


def test_probabilities_count():
    many = replace(DEMAND, result=37 * GIB)
    with pytest.raises(MemoryBudgetError, match="instead of probabilities"):
        plan_memory(many, Supply(host=24 * GIB, disk=100 * GIB))


def test_features_on_the_accelerator_take_no_host_memory():
    on_device = plan_memory(DEMAND, Supply(host=16 * GIB, device=40 * GIB))
    on_host = plan_memory(DEMAND, Supply(host=16 * GIB))
    assert on_host.peak - on_device.peak == DEMAND.features + DEMAND.window


def test_free_memory_of_this_machine_is_plausible():
    free = budget.available_memory()
    assert free is None or 2**20 < free < 2**50
    assert budget.device_memory("cpu") is None


def test_files_that_were_read_do_not_count_against_a_containers_limit(tmp_path: Path):
    names = [tmp_path / name for name in ("max", "current", "stat")]
    for path, text in zip(
        names, ("8000\n", "7900\n", "anon 900\ninactive_file 6500\n"), strict=True
    ):
        path.write_text(text)
    assert budget._left_in_group((*names, "inactive_file")) == 6600
    names[0].write_text("max\n")
    assert budget._left_in_group((*names, "inactive_file")) is None


def test_scratch_files_do_not_go_to_a_ram_disk(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(budget.tempfile, "gettempdir", lambda: "/tmp")
    mounts = {"text": "tmpfs /tmp tmpfs rw 0 0\n"}
    monkeypatch.setattr(Path, "read_text", lambda self: mounts["text"])
    assert budget.scratch_folder() == Path("/var/tmp")
    mounts["text"] = "/dev/vda / ext4 rw 0 0\n"
    assert budget.scratch_folder() == Path("/tmp")
