"""Sentences and tables made from a checkpoint's metadata: true by construction, of any model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from vista3d import anatomy
from vista3d.card.card import Card
from vista3d.card.results import Table
from vista3d.network.metadata import CheckpointMeta

FEW = 5
"""Structures that are named one by one."""


def sizes(card: Card) -> str:
    """Of the network, in a line."""
    config = card.meta.config
    widths = "-".join(map(str, config.widths))
    return f"widths {widths}, {config.features} features, {card.parameters / 1e6:.1f} M parameters"


def architecture(card: Card) -> str:
    """The network of the paper's Fig. 1 at this model's sizes."""
    config = card.meta.config
    return (
        "Convolutional network (SegResNet, residual blocks with instance norm): one encoder of "
        f"{len(config.widths)} levels ({sizes(card)}) shared by two decoders. Automatic branch: a "
        f"class head multiplies the image feature with a learned {config.features}-vector per "
        "class. Interactive branch: a point head after Segment Anything's, in 3D: Fourier codes of "
        "the clicks and two layers of two-way attention between clicks and image. An automatic "
        "result and an interactive one are merged by connected components that contain a click."
    )


def input_text(card: Card) -> str:
    """What goes in."""
    meta = card.meta
    low, high = meta.intensity
    scaled = (
        f"HU {low:.1f}..{high:.1f} scaled to 0..1"
        if meta.intensity_kind == "hu"
        else f"percentiles {low:g}..{high:g} of each scan scaled to 0..1"
    )
    text = (
        f"{' or '.join(card.words.modalities)}, resampled to {_millimetres(meta.spacing)}, "
        f"{scaled}, windows of {_voxels(meta.window)}; class prompts, by id or name"
    )
    if no_clicks(card):
        return f"{text}."
    return f"{text}; or 3D clicks, positive and negative, in voxels or millimetres."


def output_text(card: Card) -> str:
    """What comes out."""
    groups = classes_by_group(card.meta)
    names = [name for group in groups.values() for name in group]
    text = f"Label map on the grid of the scan, of {', '.join(names)}"
    if len(names) > FEW:
        text = (
            f"Label map on the grid of the scan, of any of {len(names)} structures "
            f"({', '.join(groups)})"
        )
    if no_clicks(card):
        return f"{text}."
    return f"{text}; or one mask per clicked object, trained or not."


def clicks_text(card: Card) -> str:
    """The windows that clicks are answered in, or why they are not."""
    if reason := no_clicks(card):
        return f"None: {reason}."
    meta = card.meta
    text = f"Windows of {_voxels(meta.click_window)}"
    if meta.click_context != meta.click_window:
        text += f" in a context of {_voxels(meta.click_context)}"
    if meta.clicks_left_behind:
        text += "; trained before the encoder was fine-tuned: name the class of what is clicked"
    return f"{text}; any structure, trained or not."


def no_clicks(card: Card) -> str:
    """Why clicks mean nothing to the model; "" where they do."""
    if card.meta.clicks_untrained:
        return "the point branch was not trained"
    return card.words.no_clicks


def classes_by_group(meta: CheckpointMeta) -> dict[str, list[str]]:
    """Group -> names of the trained structures in it."""
    groups: dict[str, list[str]] = defaultdict(list)
    for class_id in meta.classes:
        if class_id in meta.names:
            groups["new structures"].append(meta.names[class_id])
        elif class_id in anatomy.STRUCTURES:
            structure = anatomy.by_id(class_id)
            groups[structure.group].append(structure.name)
        else:
            groups["without a name"].append(str(class_id))
    return dict(groups)


def snomed_codes(meta: CheckpointMeta) -> list[int]:
    """SNOMED CT codes of the trained structures, ascending."""
    known = (anatomy.STRUCTURES.get(i) for i in meta.classes if i not in meta.names)
    types = (structure.type for structure in known if structure is not None)
    return sorted({int(code.value) for code in types if code is not None and code.scheme == "SCT"})


def data_table(card: Card) -> Table:
    """The data sets that the checkpoint names, with what is said about each.

    Of a fine-tuned model first its own, then those of the models that it started from, as far as
    it names them: what is said is about the first of these.
    """
    levels = card.meta.lineage
    rows: list[tuple[str, str, str, str]] = []
    for name, provenance in levels:
        counts: Mapping[str, Any] = provenance.get("training_cases", {})
        words = card.words.data if name == levels[-1][0] else ()
        stated: Mapping[str, str] = provenance.get("licences", {})
        said = {data_set: (stated.get(data_set, ""), "") for data_set in counts}
        said.update({data_set: (licence, teaches) for data_set, licence, teaches in words})
        where = f" (of {name})" if name else ""
        rows += [
            (f"{data_set}{where}", str(counts.get(data_set, "")), *said[data_set])
            for data_set in (counts if name else said)
        ]
    return Table("Training data", (), ("data set", "cases", "licence", "labels"), tuple(rows))


def stage_table(meta: CheckpointMeta) -> Table:
    """The stages that the checkpoint went through, as its provenance lists them."""
    stages = meta.provenance.get("stages", [])
    known = ("stage", "parts", "steps", "patch", "batch", "seed", "note")
    columns = tuple(key for key in known if any(key in stage for stage in stages))
    rows = tuple(tuple(_plain(stage.get(key, "")) for key in columns) for stage in stages)
    return Table("Stages", (), tuple("trained" if key == "parts" else key for key in columns), rows)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _millimetres(spacing: tuple[float, ...]) -> str:
    if len(set(spacing)) == 1:
        return f"{spacing[0]:g} mm isotropic"
    return " x ".join(f"{s:g}" for s in spacing) + " mm"


def _voxels(window: tuple[int, ...]) -> str:
    text = f"{window[0]}^3" if len(set(window)) == 1 else " x ".join(map(str, window))
    return f"{text} voxels"
