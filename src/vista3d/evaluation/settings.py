"""What was asked of a run, and what decides its numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vista3d.errors import UsageError
from vista3d.evaluation.metrics import TOLERANCE_MM
from vista3d.evaluation.protocols import Protocol, protocol, takes_clicks

if TYPE_CHECKING:
    from vista3d.inference import Model


@dataclass(frozen=True)
class Settings:
    """One protocol with its choices.

    Attributes:
        protocol: name of the experiment.
        official: the released scripts' rules instead of the clean ones.
        clicks: budgets, ascending; (0,) for automatic results.
        structures: names or ids of what is evaluated; empty: all that the protocol is for.
        tolerance_mm: of the surface Dice.
        everything: an automatic run is asked for all that the model knows, instead of what the data
            set annotates.
        seed: of everything random: official clicks, and the resampling behind the intervals.

    Raises:
        UsageError: a tolerance of 0 mm or less, which no two surfaces meet.
    """

    protocol: str
    official: bool = False
    clicks: tuple[int, ...] = (0,)
    structures: tuple[str, ...] = ()
    tolerance_mm: float = TOLERANCE_MM
    everything: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.tolerance_mm > 0:
            msg = f"the tolerance {self.tolerance_mm} mm must be above 0"
            raise UsageError(msg)

    @property
    def experiment(self) -> Protocol:
        """The protocol itself."""
        return protocol(self.protocol)

    @property
    def label(self) -> str:
        """Unique among the runs of one folder; part of file names."""
        parts = ("everything" * self.everything, "official" * self.official)
        return "-".join(filter(None, (self.protocol, *parts)))

    @property
    def command(self) -> str:
        """What gives this run, with all that is not a default; click budgets are always stated."""
        parts = [f"vista3d evaluate --protocol {self.protocol}"]
        parts += ["--official"] * self.official
        if takes_clicks(self.experiment, self.official):
            parts.append(f"--clicks {','.join(map(str, self.clicks))}")
        if self.structures:
            parts.append(f'--classes "{",".join(self.structures)}"')
        if self.tolerance_mm != TOLERANCE_MM:
            parts.append(f"--tolerance {self.tolerance_mm:g}")
        parts += ["--everything"] * self.everything
        parts += [f"--seed {self.seed}"] * (self.seed != 0)
        return " ".join(parts)

    def document(self) -> dict[str, Any]:
        """For files."""
        return {
            "protocol": self.protocol,
            "official": self.official,
            "clicks": list(self.clicks),
            "structures": list(self.structures),
            "tolerance_mm": self.tolerance_mm,
            "everything": self.everything,
            "seed": self.seed,
        }

    @classmethod
    def from_document(cls, values: dict[str, Any]) -> Settings:
        """Inverse of `document`."""
        return cls(
            values["protocol"], values["official"], tuple(values["clicks"]),
            tuple(values["structures"]), values["tolerance_mm"], values["everything"],
            values["seed"],
        )  # fmt: skip


def describe_model(model: Model) -> dict[str, Any]:
    """What of a model decides a result: weights and settings by checksum, device and precision."""
    digest = hashlib.sha256(model.meta.to_json().encode())
    for name, tensor in sorted(model.network.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return {
        "name": model.meta.name,
        "sha256": digest.hexdigest(),
        "runtime": model.runtime.name,
        "device": model.runtime.device,
        "precision": model.runtime.precision,
        "trained_on": dict(model.meta.provenance.get("training_cases", {})),
    }
