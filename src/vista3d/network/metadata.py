"""What a checkpoint says about itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from vista3d.errors import WeightsError
from vista3d.network.config import NetworkConfig

FORMAT = "vista3d-1"

KEY = "vista3d"
"""Of the metadata in a safetensors header."""

UNTRAINED = "untrained"
BEFORE_FINE_TUNING = "trained, with the encoder before fine-tuning"
"""What a provenance may say of a point branch; the second, that the encoder has moved on."""

IntensityKind = Literal["hu", "percentiles"]
_KINDS = ("hu", "percentiles")


@dataclass(frozen=True)
class CheckpointMeta:
    """Everything besides the weights that decides a result, and where the weights come from.

    Attributes:
        name: of the model.
        config: sizes of the network.
        spacing: of the model grid, mm.
        window: voxels of a sliding window.
        intensity: what is mapped to 0 and to 1, in the unit of `intensity_kind`.
        classes: trained global class ids.
        modalities: those that "everything" has a published list of classes for ("ct", "mr",
            "mr-brain": `anatomy.everything`); empty: CT, and "everything" is all of `classes`.
        exclusive: whether it was trained with its classes competing for each voxel: which is
            background they then say together (`inference.labelling`). The published models' classes
            answer each for itself.
        names: of those among them that only this model has (fine-tuned on a new structure).
        margins: class id -> what is taken off its logit, chosen on training scans
            (`studies.calibration`); 0 for the others, and for all classes of the published models.
        single: those of them that hang together in everybody: one piece of each is kept
            (`inference.pieces`). Found in the masks that a model was fine-tuned on.
        click_memory: whether an object's answers are averaged and made right at its clicks
            (`inference.interactive.belief`); the published models' answers stand alone.
        licence: of the weights, shown to users.
        provenance: training data, seeds, steps, or the source of converted weights.
        intensity_kind: "hu" for fixed values, "percentiles" for percentiles of each scan (0..100).
        point_window: voxels of a click's window; None where it is `window`, as in the released
            models.
        point_context: voxels that the encoder sees with a click's window inside; None where it sees
            the window alone, as in the released models. A small window is cheap to answer in, but
            instance norms over 32^3 voxels leave a network trained on 64^3 without its semantics
            (automatic Dice of `mini` 0.13 instead of 0.54).

    Raises:
        ValueError: settings that no network can work with.
    """

    name: str
    config: NetworkConfig
    spacing: tuple[float, float, float]
    window: tuple[int, int, int]
    intensity: tuple[float, float]
    classes: tuple[int, ...]
    licence: str
    provenance: dict[str, Any] = field(default_factory=dict)
    intensity_kind: IntensityKind = "hu"
    point_window: tuple[int, int, int] | None = None
    point_context: tuple[int, int, int] | None = None
    names: dict[int, str] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()
    exclusive: bool = False
    click_memory: bool = False
    margins: dict[int, float] = field(default_factory=dict)
    single: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        low, high = self.intensity
        last = self.config.embeddings - 1
        checks = (
            (len(self.spacing) == 3 and min(self.spacing) > 0, "spacing", "3 positive lengths"),
            (self._fits(self.window), "window", f"3 multiples of {self.config.divisor}"),
            (
                self.point_window is None or self._fits(self.point_window),
                "point_window",
                f"3 multiples of {self.config.divisor}",
            ),
            (
                self.point_context is None or self._surrounds(self.point_context),
                "point_context",
                f"3 multiples of {self.config.divisor}, at least the point window",
            ),
            (low < high, "intensity", "ascending"),
            (self.intensity_kind in _KINDS, "intensity_kind", f"one of {', '.join(_KINDS)}"),
            (all(1 <= i <= last for i in self.classes), "classes", f"ids of 1..{last}"),
            (set(self.names) <= set(self.classes), "names", f"names of {self.classes}"),
            (set(self.margins) <= set(self.classes), "margins", f"of {self.classes}"),
            (set(self.single) <= set(self.classes), "single", f"some of {self.classes}"),
        )
        for fine, name, rule in checks:
            if not fine:
                msg = f"{name} {getattr(self, name)} must be {rule}"
                raise ValueError(msg)

    def _fits(self, window: tuple[int, int, int]) -> bool:
        return len(window) == 3 and all(n > 0 == n % self.config.divisor for n in window)

    def _surrounds(self, context: tuple[int, int, int]) -> bool:
        inner = self.click_window
        return self._fits(context) and all(c >= w for c, w in zip(context, inner, strict=True))

    @property
    def click_window(self) -> tuple[int, int, int]:
        """Voxels of the window that clicks are answered in."""
        return self.point_window or self.window

    @property
    def click_context(self) -> tuple[int, int, int]:
        """Voxels that the encoder sees for it."""
        return self.point_context or self.click_window

    @property
    def clickable(self) -> frozenset[int]:
        """Classes whose clicks carry the supported token; all else is novel to the point branch."""
        return frozenset(i for i in self.classes if i <= self.config.last_supported)

    @property
    def lineage(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and provenance of the model ("") and of those that it was fine-tuned from."""
        levels = [("", self.provenance)]
        while base := levels[-1][1].get("base"):
            levels.append((base["name"], base))
        return levels

    @property
    def clicks_untrained(self) -> bool:
        """Whether the point branch was never trained."""
        return bool(self.provenance.get("point_branch") == UNTRAINED)

    @property
    def clicks_left_behind(self) -> bool:
        """Whether the encoder was fine-tuned, and the point branch not with it."""
        return bool(self.provenance.get("point_branch") == BEFORE_FINE_TUNING)

    def to_json(self) -> str:
        """One line of JSON for a safetensors header."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)

    @classmethod
    def peek(cls, path: Path) -> CheckpointMeta | None:
        """What a file says of itself, without its tensors; None for one without our metadata.

        Raises:
            WeightsError: our metadata, damaged.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                text = (file.metadata() or {}).get(KEY)
        except (SafetensorError, OSError):  # a published file; whether it is one shows on loading
            return None
        return None if text is None else cls.from_json(text, path.name)

    @classmethod
    def from_json(cls, text: str, source: str) -> CheckpointMeta:
        """Inverse of `to_json`.

        Raises:
            WeightsError: not our metadata.
        """
        try:
            values = dict(json.loads(text))
            if values.pop("format") != FORMAT:
                msg = f"{source} was written by another version of vista3d: update vista3d"
                raise WeightsError(msg)
            values["config"] = NetworkConfig.from_dict(values["config"])
            for key in ("spacing", "window", "intensity", "classes"):
                values[key] = tuple(values[key])
            values["names"] = {int(i): str(n) for i, n in values.get("names", {}).items()}
            values["margins"] = {int(i): float(m) for i, m in values.get("margins", {}).items()}
            for key in ("modalities", "single"):
                values[key] = tuple(values.get(key, ()))
            for key in ("point_window", "point_context"):
                if values.get(key) is not None:
                    values[key] = tuple(values[key])
            return cls(**values)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            msg = f"the metadata of {source} is damaged ({error!r}): download or convert it again"
            raise WeightsError(msg) from error
