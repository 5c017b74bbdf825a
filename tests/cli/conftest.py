"""The command line in this process, with a stand-in for the network."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from tests.cli.fake import LIVER, RIGHT_KIDNEY, FakeModel


class Outcome(NamedTuple):
    """What a shell sees of a command."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams on one line, as terminals may wrap them."""
        return " ".join((self.out + self.err).split())


@pytest.fixture
def model(monkeypatch, tmp_path):
    """The stand-in, loaded whatever weights are named; counts how often it is loaded."""
    fake = FakeModel()
    weights = tmp_path / "weights" / "fake.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")

    def load(name, **options):
        fake.loads.append((name, options))
        return fake

    monkeypatch.setattr("vista3d.inference.load", load)
    monkeypatch.setattr("vista3d.network.weights.resolve", lambda name: weights)
    return fake


@pytest.fixture
def run(model, capsys):
    """Run the command line in this process."""

    def call(*arguments) -> Outcome:
        from vista3d.cli.main import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(["segment", *map(str, arguments)])
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def click(model, capsys):
    """Run `vista3d click` in this process, with a stand-in that paints balls at clicks."""
    from tests.inference.interactive.fake import Balls
    from vista3d.anatomy import Vocabulary
    from vista3d.inference import InteractiveSession

    model.meta = SimpleNamespace(name="fake", classes=(LIVER, RIGHT_KIDNEY))
    model.vocabulary = Vocabulary()
    model.described = {"model": "fake", "device": "cpu", "runtime": "torch", "precision": "fp32"}

    def automatic(volume):
        def segment(classes, progress=None, cancel=None):
            labels = np.where(volume.array == 100, LIVER, 0)
            labels[volume.array == 200] = RIGHT_KIDNEY
            return labels, (LIVER, RIGHT_KIDNEY) if classes == "everything" else (LIVER,)

        return segment

    model.session = lambda volume: InteractiveSession(volume, Balls(), automatic(volume))
    model.open_session = lambda path, volume: InteractiveSession.load(
        path, volume, Balls(), automatic(volume)
    )

    def call(*arguments) -> Outcome:
        from vista3d.cli.main import main

        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(["click", *map(str, arguments)])
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory) -> Path:
    """A real network of random weights, small enough for tests; knows ids 1, 3 and 5."""
    return save_tiny(tmp_path_factory.mktemp("weights"), heads=2)


def save_tiny(folder: Path, **sizes: int) -> Path:
    """Its file; `sizes` of the network over those that it has."""
    import torch

    from vista3d.network.checkpoint import save_checkpoint
    from vista3d.network.config import NetworkConfig
    from vista3d.network.metadata import CheckpointMeta
    from vista3d.network.vista3d import Vista3D

    torch.manual_seed(0)
    config = NetworkConfig(
        widths=(4, 4, 4, 4, 4), blocks=(1, 1, 1, 1, 1), features=8, mlp_dim=8, **sizes
    )
    grid = ((1.5, 1.5, 1.5), (48, 48, 48), (-1000.0, 1000.0), (1, 3, 5))
    meta = CheckpointMeta("tiny", config, *grid, "CC BY 4.0", {"note": "random weights"})
    path = folder / "tiny.safetensors"
    save_checkpoint(path, Vista3D(config).state_dict(), meta)
    return path
