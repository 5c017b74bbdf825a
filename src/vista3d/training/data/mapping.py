"""The mapping file: per data set what its labels mean and how it takes part in training.

    {"head": [class, ...],
     "split_seed": 0,                        another one draws other patients for all data sets
     "datasets": {"Dataset101_OpenKBP": {
        "weight": 0.4,                       share of the training patches; 0: never trained on
        "variation": 0.35,                   of the anatomy, 0 to 1: less where there are many scans
        "complete": false,                   a class without voxels was not drawn, not absent
        "absent": [class or group, ...],     cannot occur in this body region
        "labels": {"name or value": "global class" | null},   null: never a target
        "novel": [label, ...],               kept from training for zero-shot figures
        "splits": [0.64, 0.16, 0.20]}}}      patients: train, validation, test

Every key is optional. A label that `labels` does not name means the class of the same name or
alias. The official `label_mappings.json` ({"AMOS22": [[1, 3], ...]}) is read too.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from vista3d import anatomy
from vista3d.errors import InputError, UnknownClassError
from vista3d.training.data.layouts.listing import read_json
from vista3d.training.data.splits import Shares

_KEYS = ("weight", "variation", "complete", "absent", "labels", "novel", "splits")


@dataclass(frozen=True)
class Rules:
    """What the mapping file says of one data set; the defaults are for one that it does not name.

    Attributes:
        weight, variation, complete: see `DataSource`.
        absent: global ids that the body region excludes.
        labels: local name, or value as text -> global id; None: never a target.
        novel: local labels kept from training.
        shares: of the patients.
    """

    weight: float = 1.0
    variation: float = 1.0
    complete: bool = True
    absent: frozenset[int] = frozenset()
    labels: Mapping[str, int | None] = field(default_factory=dict)
    novel: frozenset[str] = frozenset()
    shares: Shares = field(default_factory=Shares)


@dataclass(frozen=True)
class MappingFile:
    """A mapping file, every class name resolved.

    Attributes:
        name: of the file, for messages.
        head: what may occur above a drawn brain stem, in the data sets named.
        datasets: data set name -> rules.
        split_seed: of all data sets, also of those that the file does not name.
    """

    name: str
    head: frozenset[int]
    datasets: Mapping[str, Rules]
    split_seed: int = 0

    def rules(self, dataset: str) -> Rules:
        """The rules of a data set; defaults where the file does not name it."""
        return self.datasets.get(dataset, Rules())

    def head_of(self, dataset: str) -> frozenset[int]:
        """See `DataSource.head`; nothing is concluded for data sets that the file does not name."""
        return self.head if dataset in self.datasets else frozenset()

    def check_names(self, datasets: Iterable[str]) -> None:
        """Refuse rules for data sets that are not there: a misspelt name would mean defaults.

        Raises:
            InputError: a data set of the file that is none of `datasets`.
        """
        known = list(datasets)
        for name in self.datasets:
            if name not in known:
                msg = f"{self.name}: there is no data set {name!r}: {nearest(name, known)}"
                raise InputError(msg)


def read_mapping(path: Path) -> MappingFile:
    """A mapping file.

    Raises:
        InputError: not JSON, unknown keys or class names; the message says where and suggests.
    """
    if not path.is_file():
        msg = f"mapping file {path} does not exist"
        raise InputError(msg)
    return _parse(read_json(path), path.name)


def shipped_mapping() -> MappingFile:
    """The rules of the corpus that the mini model was trained on.

    Its OpenKBP and label map data sets give no patient to a test share, because the corpus has a
    sealed test set of its own.
    """
    path = resources.files("vista3d.training.data").joinpath("corpus.json")
    with resources.as_file(path) as file:
        return read_mapping(file)


def nearest(text: str, known: Iterable[str]) -> str:
    """A hint for a name that does not exist."""
    known = sorted(known)
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
    return f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known) or 'none'}"


def _parse(content: dict[str, Any], name: str) -> MappingFile:
    if "datasets" not in content and all(isinstance(v, list) for v in content.values()):
        official = {
            key: {"labels": _pairs(pairs, f"{name}: {key}")} for key, pairs in content.items()
        }
        content = {"datasets": official}
    _refuse_unknown(content, ("head", "split_seed", "datasets"), name)
    seed = content.get("split_seed", 0)
    if isinstance(seed, bool) or not isinstance(seed, int):
        msg = f"{name}: split_seed {seed!r} must be a whole number"
        raise InputError(msg)
    datasets = content.get("datasets", {})
    if not isinstance(datasets, dict) or not all(isinstance(v, dict) for v in datasets.values()):
        msg = f"{name}: `datasets` must map each data set's name to an object"
        raise InputError(msg)
    head = frozenset(_classes(content.get("head", []), f"{name}: head"))
    rules = {key: _rules(each, f"{name}: {key}") for key, each in datasets.items()}
    return MappingFile(name, head, rules, seed)


def _pairs(pairs: list[Any], where: str) -> dict[str, int]:
    for pair in pairs:
        if not isinstance(pair, list) or [type(value) for value in pair] != [int, int]:
            msg = f"{where}: {pair!r} must be a pair [local value, class id]"
            raise InputError(msg)
    return {str(local): class_id for local, class_id in pairs}


def _rules(content: dict[str, Any], where: str) -> Rules:
    _refuse_unknown(content, _KEYS, where)
    weight = _number(content, "weight", math.inf, where)
    variation = _number(content, "variation", 1.0, where)
    splits = content.get("splits", (0.64, 0.16, 0.20))
    if not isinstance(content.get("complete", True), bool):
        msg = f"{where}: complete {content['complete']!r} must be true or false"
        raise InputError(msg)
    try:
        shares = Shares(*map(float, splits))
    except (TypeError, ValueError):
        msg = f"{where}: splits {splits!r} must be three shares (train, validation, test)"
        raise InputError(msg) from None
    except InputError as error:
        msg = f"{where}: {error}"
        raise InputError(msg) from None
    labels = content.get("labels", {})
    if not isinstance(labels, dict):
        msg = f"{where}: labels {labels!r} must map local labels to global classes"
        raise InputError(msg)
    novel = content.get("novel", [])
    if not isinstance(novel, list):
        msg = f"{where}: novel {novel!r} must be a list of local labels"
        raise InputError(msg)
    return Rules(
        weight=weight,
        variation=variation,
        complete=content.get("complete", True),
        absent=frozenset(_classes(content.get("absent", []), f"{where}: absent")),
        labels={
            key: None if target is None else _class(target, f"{where}: labels: {key}")
            for key, target in labels.items()
        },
        novel=frozenset(map(str, novel)),
        shares=shares,
    )


def _number(content: dict[str, Any], key: str, largest: float, where: str) -> float:
    value = content.get(key, 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= largest:
        limit = "" if math.isinf(largest) else f" and <= {largest:g}"
        msg = f"{where}: {key} {value!r} must be a number >= 0{limit}"
        raise InputError(msg)
    return float(value)


def _refuse_unknown(content: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in content:
        if key not in known:
            msg = f"{where}: unknown key {key!r}: {nearest(key, known)}"
            raise InputError(msg)


def _classes(names: object, where: str) -> tuple[int, ...]:
    """Names, ids and groups -> global ids."""
    if not isinstance(names, list):
        msg = f"{where}: {names!r} must be a list of classes"
        raise InputError(msg)
    try:
        return anatomy.resolve(names)
    except UnknownClassError as error:
        msg = f"{where}: {error}"
        raise InputError(msg) from None


def _class(target: object, where: str) -> int:
    """One class: a label cannot stand for several."""
    if isinstance(target, bool) or not isinstance(target, int | str):
        msg = f"{where}: {target!r} must be a class name, an id, or null"
        raise InputError(msg)
    named = anatomy.dataset_ids({str(target): 1}).values()
    try:
        # A structure before the group of the same name: "heart" is one of its group.
        found = tuple(map(anatomy.by_id, named)) or anatomy.find(target)
        found = found if len(found) > 1 or not found[0].parts else anatomy.find(target)
    except UnknownClassError as error:
        msg = f"{where}: {error}"
        raise InputError(msg) from None
    if len(found) != 1:
        names = ", ".join(structure.name for structure in found[:4])
        msg = (
            f"{where}: {target!r} stands for {len(found)} classes ({names}, ...): "
            "map each label to one class, or to null"
        )
        raise InputError(msg)
    return found[0].id
