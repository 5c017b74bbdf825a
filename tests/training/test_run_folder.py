"""Claims of a run folder, by one process and by several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.recipes import fabric
from vista3d.errors import UsageError
from vista3d.training.run_folder import claim


class Second:
    """What the second of two processes sees of Fabric.

    Attributes:
        first: what the first process sends, in turn; None: what this one would.
        refused: how many processes have a problem, beside this one.
    """

    world_size, is_global_zero, device = 2, False, torch.device("cpu")

    def __init__(self, *first: Any, refused: int = 0) -> None:
        self.first, self.refused = list(first), refused

    def broadcast(self, own: Any) -> Any:
        return (self.first.pop(0) if self.first else None) or own

    def all_reduce(self, value: Tensor, reduce_op: str) -> Tensor:
        return value + self.refused

    def barrier(self) -> None:
        pass


def test_a_folder_is_for_one_run(tmp_path: Path):
    path = tmp_path / "run" / "recipe.json"
    claim(path, {"seed": 1, "sizes": (1, float("inf"))}, fabric())
    claim(path, {"seed": 1, "sizes": (1, float("inf"))}, fabric())
    with pytest.raises(
        UsageError, match=r"run holds a run with other seed: choose another folder$"
    ):
        claim(path, {"seed": 2, "sizes": (1, float("inf"))}, fabric())
    assert [each.name for each in path.parent.iterdir()] == ["recipe.json"]


def test_machines_share_the_folder(tmp_path: Path):
    with pytest.raises(UsageError, match="choose one that all machines share"):
        claim(tmp_path / "recipe.json", {}, Second())  # type: ignore[arg-type]


def test_machines_have_the_same_scans(tmp_path: Path):
    (tmp_path / "mark").touch()
    second = Second("mark", {"scans": ["a", "b"]})
    with pytest.raises(UsageError, match=r"other scans.*give every machine the same data"):
        claim(tmp_path / "recipe.json", {"scans": ["a"]}, second)  # type: ignore[arg-type]


def test_all_stop_when_one_is_refused(tmp_path: Path):
    (tmp_path / "mark").touch()
    with pytest.raises(UsageError, match="another process was refused: see its message"):
        claim(tmp_path / "recipe.json", {}, Second("mark", refused=1))  # type: ignore[arg-type]
