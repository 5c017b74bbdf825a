"""All cases of a run: resumed, spread over processes, failures kept apart."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vista3d.errors import UsageError, Vista3DError, WeightsError
from vista3d.evaluation.case import EvaluationCase
from vista3d.evaluation.case_run import CaseRun
from vista3d.evaluation.row import Row
from vista3d.evaluation.selection import select
from vista3d.evaluation.settings import Settings, describe_model

if TYPE_CHECKING:
    from vista3d.inference import Model


@dataclass(frozen=True)
class ModelSource:
    """How every process loads its own model: the arguments of `vista3d.load`."""

    model: str = "mini"
    device: str = "auto"
    runtime: str = "auto"
    precision: str = "auto"

    def load(self) -> Model:
        """Load it.

        Raises:
            WeightsError, UsageError: see `vista3d.load`.
        """
        from vista3d.inference import load

        return load(self.model, device=self.device, runtime=self.runtime, precision=self.precision)


@dataclass(frozen=True)
class CaseEnd:
    """How a case ended.

    Attributes:
        case: its data set and name.
        run: label of the settings.
        state: done in this run, by a former one, or failed.
        rows: its scores.
        error: why it failed.
    """

    case: EvaluationCase
    run: str
    state: Literal["finished", "skipped", "failed"]
    rows: tuple[Row, ...] = ()
    error: str = ""


Listener = Callable[[CaseEnd, int, int], None]
"""A case ended; how many have; of how many."""


def run_cases(
    cases: Sequence[EvaluationCase],
    model: Model,
    settings: Settings,
    folder: Path | None = None,
    *,
    source: ModelSource | None = None,
    processes: int = 1,
    listen: Listener = lambda end, done, total: None,
) -> list[CaseEnd]:
    """Evaluate, and return how every case ended, in the order of the cases.

    Args:
        cases: of all data sets; those without a structure for this protocol are left out.
        model: loaded.
        settings: of the run.
        folder: of the run, for results; cases that it has of the very same run are skipped.
        source: how other processes load the same model.
        processes: that share the cases.
        listen: told each case as it ends.

    Raises:
        UsageError: several processes without a source, or structures that no case has.
        WeightsError: the model cannot be loaded.
    """
    about, known = describe_model(model), frozenset(model.meta.classes)
    prompts = tuple(sorted(known))
    work = [
        CaseRun(
            replace(case, prompts=prompts) if settings.everything else case,
            settings,
            about,
            folder,
        )
        for case in select(cases, settings.experiment, known, settings.structures, model.vocabulary)
    ]
    answers: Iterator[tuple[int, CaseEnd]]
    if processes == 1:
        answers = ((number, _do(task, model)) for number, task in enumerate(work))
    elif source is None or processes < 1:
        msg = (
            f"{processes} processes: give a whole number from 1 on; several load the model "
            "themselves and need its name instead of a loaded one"
        )
        raise UsageError(msg)
    else:
        answers = _spread(work, source, processes)
    ends: dict[int, CaseEnd] = {}
    for number, end in answers:
        ends[number] = end
        listen(end, len(ends), len(work))
    return [ends[number] for number in range(len(work))]


def _do(task: CaseRun, model: Model) -> CaseEnd:
    """One case; its own failure is its result."""
    name = task.settings.label
    try:
        rows = task.finished()
        if rows is not None:
            return CaseEnd(task.case, name, "skipped", tuple(rows))
        return CaseEnd(task.case, name, "finished", tuple(task.execute(model)))
    except (WeightsError, UsageError):
        raise
    except (Vista3DError, OSError, MemoryError) as error:
        return CaseEnd(task.case, name, "failed", error=f"{type(error).__name__}: {error}")


def _spread(
    work: Sequence[CaseRun], source: ModelSource, processes: int
) -> Iterator[tuple[int, CaseEnd]]:
    """Cases over processes, as they end. Spawned: a fork would copy locked threads."""
    context = multiprocessing.get_context("spawn")
    threads = max(1, (os.cpu_count() or 1) // processes)
    with ProcessPoolExecutor(processes, context, _prepare, (source, threads)) as pool:
        waiting: dict[Future[CaseEnd], int] = {
            pool.submit(_do_here, task): number for number, task in enumerate(work)
        }
        try:
            while waiting:
                for job in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(job), job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_HERE: list[Model] = []
"""The model of this process, once `_prepare` has loaded it."""


def _prepare(source: ModelSource, threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    _HERE.append(source.load())


def _do_here(task: CaseRun) -> CaseEnd:
    return _do(task, _HERE[0])
