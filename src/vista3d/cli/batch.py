"""The loop over cases: one model for all, failures kept apart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vista3d.cli.case_run import CaseRun
from vista3d.cli.cases import Case
from vista3d.cli.outputs import Outputs
from vista3d.cli.settings import CaseResult, Listener, Settings
from vista3d.errors import CancelledError, CohortError, Vista3DError

if TYPE_CHECKING:
    from vista3d.inference import Model


def run_batch(
    work: Iterable[tuple[Case, Outputs]],
    settings: Settings,
    load: Callable[[], Model],
    listener: Listener,
    cancel: threading.Event,
    *,
    former: Path | None = None,
) -> list[CaseResult]:
    """Segment the cases one after the other.

    The model is loaded once, when the first good scan has been read, so that bad input is told at
    once. A failing case does not stop the others; a cancellation and missing weights do.

    Args:
        work: cases and where their results go.
        settings: the same for all.
        load: makes the model.
        listener: hears of the progress.
        cancel: ends the batch at the next safe point.
        former: report of a whole former run, besides the reports of the cases, for resuming.

    Raises:
        WeightsError: the model cannot be loaded.
    """
    loaded: list[Model] = []

    def model() -> Model:
        if not loaded:
            listener.step("loading the model")
            loaded.append(load())
        return loaded[0]

    results = []
    for case, outputs in work:
        listener.begin(case.name)
        result = CaseRun(case, outputs, settings, listener, cancel).execute(model, former)
        listener.end(result)
        results.append(result)
        if result.state == "cancelled":
            break
    return results


def run_report(results: Iterable[CaseResult], total: int) -> dict[str, Any]:
    """The report of a whole run: its state, its exit code and the reports of its cases."""
    listed = list(results)
    error = final_error(listed, total)
    states = [result.state for result in listed]
    code = 0 if error is None else exit_code(error)
    return {
        "format": "vista3d batch report",
        "version": 1,
        "exit_code": code,
        "total": total,
        "states": {state: states.count(state) for state in sorted(set(states))},
        "cases": [{**result.report, "state": result.state} for result in listed],
    }


def final_error(results: list[CaseResult], total: int) -> BaseException | None:
    """What the whole run ends with: nothing, the error of its only case, or a summary."""
    failed = [result for result in results if result.error is not None]
    if not failed:
        return None
    last = failed[-1]
    if last.state == "cancelled":
        done = sum(result.state in ("finished", "skipped") for result in results)
        msg = f"cancelled: {done} of {total} cases are finished; run again with --resume to go on"
        return CancelledError(msg)
    if total == 1:
        return last.error
    names = ", ".join(result.case.name for result in failed[:5])
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    msg = f"{len(failed)} of {total} cases failed: {names}{more}"
    return CohortError(msg)


def exit_code(error: BaseException) -> int:
    """The exit code of an error; what is not ours is 1."""
    return error.exit_code if isinstance(error, Vista3DError) else 1
