"""`vista3d train` in several processes: started by itself, by torchrun, and on two machines."""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_train import data  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]

TINY_COMMAND = """
import sys
from tests.cli.test_train import TINY_MINI
from vista3d.cli.main import main
from vista3d.training import recipe, stage_run

recipe.RECIPES["mini"] = TINY_MINI
stage_run.LOG_EVERY = 1
main(["train", *sys.argv[1:]])
"""


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """`vista3d train` with a tiny `mini` and a line in log.csv for each step."""
    script = tmp_path / "train.py"
    script.write_text(TINY_COMMAND)
    return script


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if "WORLD_SIZE" not in name}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**clean, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(*processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    """Exit code and output of each."""
    ends = []
    for process in processes:
        output, _ = process.communicate(timeout=280)
        ends.append((process.returncode, output))
    return ends


def torchrun(machines: int, here: int) -> list[list[str]]:
    """The beginning of a command line for each machine, as in docs/training.md."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "torch.distributed.run", "--nnodes", str(machines), "--nproc-per-node"]
    words += [str(here), "--master-addr", "127.0.0.1", "--master-port", str(port)]
    return [[*words, "--node-rank", str(number)] for number in range(machines)]


def logged(run: Path) -> dict[tuple[str, int, str], float]:
    """All values of all stages, but for times."""
    found = {}
    for stage in "13":
        for step, name, value in csv.reader((run / stage / "log.csv").open()):
            if name != "seconds":
                assert (stage, int(step), name) not in found  # one process writes
                found[stage, int(step), name] = float(value)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_torchrun_learns_what_processes_of_its_own_do(data: Path, command: Path, tmp_path: Path):  # noqa: F811
    """One machine of two processes and two machines of one: the losses of `--processes 2`."""
    arguments = ("--data", data, "--mapping", tmp_path / "mapping.json", "--device", "cpu")
    arguments += ("--stages", "1,3", "--cache", tmp_path / "cache", "-o")
    (end,) = finish(start(command, *arguments, tmp_path / "own", "--processes", "2"))
    assert end[0] == 0, end[1]
    expected = logged(tmp_path / "own")
    assert len([1 for _, _, name in expected if name == "loss"]) == 5
    for machines in (1, 2):
        out = tmp_path / f"{machines}"
        starts = torchrun(machines, 2 // machines)
        ends = finish(*(start(*words, command, *arguments, out) for words in starts))
        assert [code for code, _ in ends] == [0] * machines, ends
        # The first process alone says it.
        assert "".join(text for _, text in ends).count("model.safetensors: done") == 1
        assert logged(out) == pytest.approx(expected, abs=1e-4)
        assert (out / "model.safetensors").is_file()
