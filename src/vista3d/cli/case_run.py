"""One case from its file to its results, and its report whatever happens on the way."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vista3d.cli.cases import Case
from vista3d.cli.outputs import Outputs, Segmented, check_writable, write_outputs
from vista3d.cli.resume import finished_report, identity
from vista3d.cli.settings import CaseResult, Listener, Settings
from vista3d.cli.truth import class_ids
from vista3d.errors import (
    CancelledError,
    InputError,
    MemoryBudgetError,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:
    from vista3d.anatomy import Structure
    from vista3d.inference import Model, Progress, Segmentation
    from vista3d.results import StructureStatistics
    from vista3d.volume import Volume

log = logging.getLogger(__name__)

SHARES = {"preparing": (0.0, 0.05), "segmenting": (0.05, 0.75), "labelling": (0.75, 0.95)}
"""Where the steps of inference begin and end in a case: shares of the time of a torso with mini on
two cores. They only smooth the bar."""
MEASURING, WRITING = 0.95, 0.97


class CaseRun:
    """A case in progress: what is known of it so far, which its report needs if it fails."""

    def __init__(
        self,
        case: Case,
        outputs: Outputs,
        settings: Settings,
        listener: Listener,
        cancel: threading.Event,
    ) -> None:
        self.case, self.outputs, self.settings = case, outputs, settings
        self._listener, self._cancel = listener, cancel
        self._started = time.monotonic()
        self._source: dict[str, Any] = {"name": case.path.name}
        self._volume: Volume | None = None
        # What "everything" means is known when the model has said so.
        self._classes: tuple[Structure, ...] = ()
        if settings.classes != "everything":
            self._classes = tuple(settings.vocabulary.by_id(i) for i in settings.classes)
        self._run: dict[str, Any] = {}
        self._warnings: list[str] = []
        self._written: list[Path] = []
        self._rows: list[StructureStatistics] = []
        self._dice: dict[int, float | None] = {}

    def execute(self, model: Callable[[], Model], former: Path | None) -> CaseResult:
        """Do the case; every failure of its own becomes part of the result.

        Args:
            model: gives the loaded model; called when the scan has been read and found good.
            former: report of a whole former run, besides the report of the case.

        Raises:
            WeightsError: no case can succeed without a model.
            UsageError: the model refuses what was asked, of this case and of any other.
        """
        try:
            self._check_cancelled()
            skipped = self._finished_before(former)
            if skipped is not None:
                return CaseResult(self.case, "skipped", self._seconds(), skipped)
            self._segment(model)
        except (WeightsError, UsageError):
            raise
        except MemoryError as error:
            msg = f"not enough memory for '{self.case.path.name}': close other programs"
            known = MemoryBudgetError(msg)
            known.__cause__ = error
            return self._close(known)
        except (Exception, KeyboardInterrupt) as error:
            log.debug("case %s ended with an error", self.case.name, exc_info=True)
            return self._close(error)
        return self._close(None)

    def _finished_before(self, former: Path | None) -> dict[str, Any] | None:
        """The former report of this case, when it need not be done again."""
        from vista3d.results import describe_source

        self._listener.step("reading")
        try:
            self._source = describe_source(self.case.path)
        except OSError as error:
            msg = f"'{self.case.path.name}' cannot be read: {error.strerror or error}"
            raise InputError(msg) from error
        if not self.settings.resume:
            return None
        wanted = identity({"input": self._source, "settings": self.settings.document()})
        places = (self.outputs.report, former)
        return finished_report(places, self.case.name, self.outputs, wanted)

    def _segment(self, model: Callable[[], Model]) -> None:
        from vista3d import results
        from vista3d.volume import check_ct, check_image, read, read_label_map

        check = check_ct if self.settings.modality == "ct" else check_image
        volume = check(read(self.case.path, series=self.settings.series))
        self._volume, self._warnings = volume, list(volume.meta.warnings)
        check_writable(self.outputs, volume)
        path = self.settings.truth
        truth = None if path is None else read_label_map(path, volume.geometry)
        asked = time.monotonic()
        loaded = model()
        loading = round(time.monotonic() - asked, 3)
        segmentation = loaded.segment(
            volume,
            classes=self.settings.classes,
            modality=self.settings.modality,
            preset=self.settings.preset,
            progress=self._heard,
            cancel=self._cancel,
        )
        self._take_run(segmentation, loading)
        labels, structures = segmentation.labels, segmentation.structures
        self._check_cancelled()
        self._listener.step("measuring", MEASURING)
        spread = results.profile_labels(labels, volume.array)
        self._rows = results.statistics(labels, volume, structures, profile=spread)
        if truth is not None:
            ids = class_ids(truth, segmentation.vocabulary)
            self._dice = results.dice(labels, ids, segmentation.classes)
        done = Segmented(
            case=self.case.name,
            what=results.Labelled(
                labels,
                volume,
                structures,
                model=str(self._run.get("model", "vista3d")),
                profile=spread,
            ),
            rows=self._rows,
        )
        self._written = write_outputs(self.outputs, done, before=self._before_writing)

    def _heard(self, progress: Progress) -> None:
        first, last = SHARES.get(progress.step, (0.0, 1.0))
        self._listener.step(progress.step, first + (last - first) * progress.fraction)

    def _before_writing(self, what: str) -> None:
        self._check_cancelled()
        self._listener.step(f"writing {what}", WRITING)

    def _take_run(self, segmentation: Segmentation, loading: float) -> None:
        """What inference says of itself; loading takes time with the first case of a run only."""
        self._classes = segmentation.structures
        steps = {"loading": loading, **segmentation.run["seconds_by_step"]}
        self._run = {**segmentation.run, "seconds_by_step": steps}
        for warning in self._run.pop("warnings", ()):
            if warning not in self._warnings:
                self._warnings.append(warning)

    def _check_cancelled(self) -> None:
        if self._cancel.is_set():
            msg = f"cancelled at '{self.case.name}'"
            raise CancelledError(msg)

    def _close(self, error: BaseException | None) -> CaseResult:
        """Write the report of the case, where it has one, and sum up."""
        from vista3d import results

        report = results.case_report(
            case=self.case.name,
            source=self._source,
            classes=self._classes,
            settings=self.settings.document(),
            geometry=None if self._volume is None else self._volume.geometry,
            run={**self._run, "seconds": round(self._seconds(), 3)},
            warnings=self._warnings,
            outputs=self._written if error is None else (),
            rows=self._rows if error is None else (),
            error=error,
        )
        if self._dice:
            report["dice"] = {str(number): value for number, value in self._dice.items()}
        if self.outputs.report is not None:
            try:
                results.write_report(self.outputs.report, report)
            except OSError as trouble:
                error = error or trouble
        rows = self._rows if error is None else ()
        state = report["state"] if error is None or report["error"] else "failed"
        return CaseResult(
            self.case, state, self._seconds(), report, rows, self._dice, error
        )  # fmt: skip

    def _seconds(self) -> float:
        return time.monotonic() - self._started
