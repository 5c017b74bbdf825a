"""A model for new structures, from a model and a few annotated scans.

RUN/plan.json             what was asked, and what was decided from the scans
RUN/auto/, RUN/points/    as in a run of `vista3d train`: log.csv, validation_*.png, state.pt
RUN/tensorboard/
RUN/model.safetensors     a model that every verb takes
"""

from __future__ import annotations

from pathlib import Path

from vista3d.inference import Model, load
from vista3d.training.data.store import DEFAULT_BYTES
from vista3d.training.finetuning.job import Request, plan_job
from vista3d.training.finetuning.plan import Pieces
from vista3d.training.finetuning.stages import STEPS, Mode


def finetune(
    model: Model | str | Path,
    dataset: Path | str,
    map: str,  # noqa: A002 - the option's name
    output: Path | str,
    *,
    cases: int | None = None,
    mode: Mode = "full",
    points: bool = False,
    minutes: float = 20.0,
    steps: int = STEPS,
    learning_rate: float | None = None,
    spacing: float | None = None,
    patch: int | None = None,
    pieces: Pieces = "auto",
    seed: int = 0,
    device: str = "auto",
    cache: Path | None = None,
    cache_bytes: int = DEFAULT_BYTES,
) -> Model:
    """Fine-tune on the labels of a data set; go on where an earlier call was stopped.

    Args:
        model: to start from.
        dataset: one data set: nnU-Net raw folder, MONAI datalist or CSV (docs/data.md).
        map: what its labels mean, "1:pancreas,2:new:my tumour"; labels that it does not name are
            background.
        output: run folder.
        cases: how many scans to learn from; None: all.
        mode: "full", or "light" (class embeddings, head and norms only).
        points: train the point branch on the new encoder as well, for half as long again, in
            minutes and in steps.
        minutes: of training; the learning rate falls to zero by its end, however fast the machine.
        steps: of the optimiser, at most; where they fit the time, the result depends on the seed
            alone.
        learning_rate: at its peak, of all parts; None: of the mode.
        spacing: of the model grid, mm; None: chosen from the scans, as is the patch.
        patch: voxels per side.
        pieces: "one": of each structure the surest piece is kept; "any": all are; "auto": one,
            where it hangs together in all scans (three or more).
        seed: of everything drawn.
        device: "auto", "cpu" or "cuda".
        cache: of prepared scans; None: in the run folder.
        cache_bytes: that it may hold; beyond, what was read longest ago goes.

    Returns:
        The fine-tuned model: `output`/model.safetensors, loaded.

    Raises:
        UsageError: settings that cannot be meant, or a folder that holds another run.
        UnknownClassError: a class of the map that does not exist.
        InputError: a data set that cannot be read, or has too few scans with these labels.
    """
    output = Path(output)
    base = model if isinstance(model, Model) else load(model, runtime="torch", precision="fp32")
    asked = Request(
        map=map, cases=cases, mode=mode, points=points, minutes=minutes, steps=steps,
        learning_rate=learning_rate, spacing=spacing, patch=patch, pieces=pieces, seed=seed,
    )  # fmt: skip
    job = plan_job(asked, base.meta, Path(dataset), output, device, cache, cache_bytes)
    job.run({key: value.cpu() for key, value in base.network.state_dict().items()})
    return load(output / "model.safetensors")
