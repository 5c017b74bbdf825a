"""One call for the paper's protocols: a model, data sets, and what comes out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from vista3d.anatomy import Vocabulary
from vista3d.errors import InputError, UsageError
from vista3d.evaluation.case import EvaluationCase
from vista3d.evaluation.metrics import TOLERANCE_MM
from vista3d.evaluation.protocols import budgets, takes_clicks
from vista3d.evaluation.protocols import protocol as protocol_by_name
from vista3d.evaluation.report import Report
from vista3d.evaluation.run import Listener, ModelSource, run_cases
from vista3d.evaluation.run_folder import Run, collect, read_runs
from vista3d.evaluation.settings import Settings, describe_model
from vista3d.studies.cases import Choice, chosen_cases
from vista3d.training.data.splits import Split
from vista3d.training.finetuning.export import fingerprint
from vista3d.wording import first_of

if TYPE_CHECKING:
    from vista3d.inference import Model
    from vista3d.network.metadata import CheckpointMeta

log = logging.getLogger(__name__)

_OTHERWISE = "choose another protocol, split or classes"


def evaluate(
    model: Model | str | Path | ModelSource,
    dataset: Path | str | Sequence[Path | str],
    protocol: str | Sequence[str] = "auto",
    *,
    official: bool = False,
    clicks: Sequence[int] | None = None,
    classes: Sequence[str] = (),
    split: Split | None = "validation",
    mapping: Path | None = None,
    labels: str = "",
    cases: int | None = None,
    tolerance_mm: float = TOLERANCE_MM,
    everything: bool = False,
    output: Path | str | None = None,
    processes: int = 1,
    seed: int = 0,
    listen: Listener = lambda end, done, total: None,
) -> Report:
    """Evaluate a model on data sets by a protocol of the paper, or several.

    Args:
        model: loaded, or what `vista3d.load` takes.
        dataset: what `vista3d train --data` takes; one or several.
        protocol: "auto", "point", "auto+point", "clicks", "zero-shot", or several of them.
        official: the released scripts' rules, for comparison with published figures.
        clicks: budgets, where a protocol has a choice.
        classes: names, ids or groups; all by default.
        split: of the patients; None: all of them.
        mapping: mapping file; None: the shipped one.
        labels: what labels mean, as in `finetune`: "1:liver,2:my tumour"; for one data set.
        cases: the first so many of each data set; all by default.
        tolerance_mm: of the surface Dice.
        everything: ask automatic runs for all that the model knows, not for the data sets' classes.
        output: folder for results and the report; finished cases in it are skipped.
        processes: that share the cases; several need the model by name.
        seed: of everything random.
        listen: told each case as it ends.

    Raises:
        InputError: a data set that cannot be read. A single scan that cannot be is a failure in the
            report.
        UsageError: an unknown protocol or structure, nothing to evaluate, or options that do not
            go together.
        WeightsError: the model cannot be loaded.
    """
    output = None if output is None else Path(output)
    names = [protocol] if isinstance(protocol, str) else list(protocol)
    plans = [
        Settings(
            name,
            official,
            _budgets(name, official, clicks, alone=len(names) == 1),
            tuple(classes),
            tolerance_mm,
            everything,
            seed,
        )
        for name in names
    ]
    paths = [dataset] if isinstance(dataset, Path | str) else list(dataset)
    source = ModelSource(str(model)) if isinstance(model, str | Path) else None
    source = model if isinstance(model, ModelSource) else source
    loaded = source.load() if source is not None else cast("Model", model)
    choice = Choice(split, mapping, labels, cases)
    found, part = chosen_cases(map(Path, paths), choice, loaded.meta)
    log.info("%s", part)
    _warn_of_seen(found, loaded.meta)
    runs = []
    for plan in plans:
        ends = run_cases(
            found, loaded, plan, output, source=source, processes=processes, listen=listen
        )
        if ends:
            runs.append(collect(ends, plan, describe_model(loaded), output, part))
    if not runs:
        kinds = " and ".join(sorted({plan.experiment.targets for plan in plans}))
        msg = (
            f"none of the {len(found)} scans annotates a structure for {', '.join(names)} "
            f"({kinds} to model {loaded.meta.name!r}): "
        )
        novel = all(plan.experiment.targets == "novel" for plan in plans)
        raise UsageError(msg + (_how_to_name(found, loaded.meta, novel) or _OTHERWISE))
    report = Report(tuple(runs))
    if output is not None:
        Report(_with_earlier(report.runs, output)).write(output)
    empty = [run.settings.protocol for run in runs if not run.rows]
    if empty:
        msg = (
            f"{', '.join(empty)}: no structure was scored in any of {len(found)} scans, as none "
            "shows one: take more (--cases), another --split or other classes"
        )
        if len(empty) == len(runs) and not report.failures:
            raise UsageError(msg)
        log.warning(msg)
    return report


def _how_to_name(cases: Sequence[EvaluationCase], meta: CheckpointMeta, novel: bool) -> str:
    """What to do where no label means a class of the model; "" where one does.

    Args:
        novel: only structures that the model does not know are asked for.
    """
    targets = [target for case in cases for target in case.targets]
    meant = {i for case in cases for i in case.prompts}.union(t.class_id for t in targets)
    if not meant.isdisjoint(meta.classes):
        return ""
    example = meta.classes[0]
    name = "new:my tumour" if novel else Vocabulary.of(meta.names).by_id(example).name
    ways = [f'--map "{targets[0].values[0] if targets else 1}:{name}"']
    if len({case.dataset for case in cases}) > 1:
        ways[0] += " for one data set at a time"
    if not novel and example not in meta.names:  # a mapping file knows no model's own classes
        ways.append("--mapping FILE")
    names = list(dict.fromkeys(target.name for target in targets))
    what = "no label means a structure"
    if names:
        what = f"the labels ({first_of(names, 5)}) mean none of its classes"
    return f"{what}. Say what they mean: {', or '.join(ways)}"


def _with_earlier(runs: Sequence[Run], folder: Path) -> tuple[Run, ...]:
    """All protocols of the same model in the folder: its report is of them, too."""
    try:
        found = [run for run in read_runs(folder) if run.model == runs[0].model]
    except InputError as error:  # of an earlier run, which must not take this one with it
        log.warning("the report holds only what was run now: %s", error)
        return tuple(runs)
    now = {run.settings.label: run for run in runs}
    return tuple(now.get(run.settings.label, replace(run, name=runs[0].name)) for run in found)


def _warn_of_seen(cases: Sequence[EvaluationCase], meta: CheckpointMeta) -> None:
    """Scans that a fine-tuned model learned from tell nothing of others."""
    known = set(meta.provenance.get("seen", ()))
    seen = sorted(case.name for case in cases if fingerprint(case.name) in known)
    if seen:
        log.warning(
            "%s was fine-tuned on %d of these %d scans (%s): its figures on them are no evidence",
            meta.name, len(seen), len(cases), ", ".join(seen[:5]),
        )  # fmt: skip


def _budgets(
    name: str, official: bool, asked: Sequence[int] | None, *, alone: bool
) -> tuple[int, ...]:
    """Click budgets of a protocol. Beside others, one that has no choice keeps its own."""
    chosen = protocol_by_name(name)
    if not alone and not takes_clicks(chosen, official):
        asked = None
    return budgets(chosen, official, asked)
