"""What a checkpoint says about itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from vista3d.errors import WeightsError
from vista3d.network.config import NetworkConfig

FORMAT = "vista3d-1"


@dataclass(frozen=True)
class CheckpointMeta:
    """Everything besides the weights that decides a result, and where the weights come from.

    Attributes:
        name: of the model.
        config: sizes of the network.
        spacing: of the model grid, mm.
        window: voxels of a sliding window.
        intensity: HU mapped to 0 and to 1.
        classes: trained global class ids; "everything" for this model.
        licence: of the weights, shown to users.
        provenance: training data, seeds, steps, or the source of converted weights.
    """

    name: str
    config: NetworkConfig
    spacing: tuple[float, float, float]
    window: tuple[int, int, int]
    intensity: tuple[float, float]
    classes: tuple[int, ...]
    licence: str
    provenance: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line of JSON for a safetensors header."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, source: str) -> CheckpointMeta:
        """Inverse of `to_json`.

        Raises:
            WeightsError: not our metadata.
        """
        try:
            values = json.loads(text)
            if values.pop("format") != FORMAT:
                msg = f"{source} was written by another version of vista3d: update vista3d"
                raise WeightsError(msg)
            values["config"] = NetworkConfig.from_dict(values["config"])
            for key in ("spacing", "window", "intensity", "classes"):
                values[key] = tuple(values[key])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the metadata of {source} is damaged ({error!r}): download or convert it again"
            raise WeightsError(msg) from error
