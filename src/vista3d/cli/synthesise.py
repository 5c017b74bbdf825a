"""`vista3d synthesise`: training data that nobody had to draw."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from vista3d.cli.options import Overwrite, Preview, Seed
from vista3d.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from vista3d.training.synthetic.lesions import Lesion
    from vista3d.volume import Volume


def synthesise(
    out: Annotated[
        Path, typer.Option("--output", "-o", show_default=False, help="Folder for the results.")
    ],
    labels: Annotated[
        Path,
        typer.Option(
            "--labels", show_default=False, help="Label map in global ids, on the scan's grid."
        ),
    ],
    scan: Annotated[
        Path | None,
        typer.Argument(
            metavar="[INPUT]", show_default=False, help="A CT. Without: one is drawn from --labels."
        ),
    ] = None,
    lesions: Annotated[
        str,
        typer.Option(
            "--lesions",
            show_default=False,
            help="Organs to paint lesions into, by commas: liver, kidney, lung, pancreas, bone.",
        ),
    ] = "",
    count: Annotated[int, typer.Option("--count", min=1, help="Number of lesions.")] = 1,
    resynthesise: Annotated[
        bool,
        typer.Option(
            "--resynthesise",
            help="New densities: of the labelled structures of INPUT, or without INPUT of a CT "
            "drawn from the labels.",
        ),
    ] = False,
    maisi: Annotated[
        Path | None,
        typer.Option(
            "--maisi",
            show_default=False,
            help="Draw the CT with MAISI's networks from this folder.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="For --maisi: cpu, cuda or cuda:N.")] = "cpu",
    seed: Seed = 0,
    preview: Preview = False,
    overwrite: Overwrite = False,
) -> None:
    """Paint lesions into a CT, give it other densities, or draw one from a label map.

    Writes NAME_SEED_ct.nii.gz (HU), NAME_SEED_labels.nii.gz (global class ids; their names in
    NAME_SEED_labels.json) and NAME_SEED.json (how it was made, every lesion) on the grid of the
    input, and with --preview NAME_SEED_preview.png: each lesion before and after, or without
    lesions an overview. The same input and seed give the same files.

    Example: vista3d synthesise ct.nii.gz --labels labels.nii.gz --lesions liver --count 2 -o out
    """
    import numpy as np

    from vista3d.cli.writable import refuse_overwriting, require_writable
    from vista3d.volume.nifti import case_name

    _check_choice(scan, lesions, resynthesise, maisi)
    require_writable(out)
    truth, source = _read(labels, scan)
    name = case_name(scan or labels)
    files = _plan(out, f"{name}_{seed:04d}", preview)
    inputs = [labels] if scan is None else [labels, scan]
    refuse_overwriting(files.all(), inputs, allowed=overwrite)
    rng = np.random.default_rng(seed)
    hu, method = _intensities(source, truth, rng, resynthesise, maisi, seed, device)
    ids = np.asarray(truth.array)
    bare = hu
    found: list[Lesion] = []
    if lesions:
        from vista3d.training.synthetic.lesions import paint_lesions

        organs = [name.strip() for name in lesions.split(",")]
        hu, ids, found = paint_lesions(hu, ids, truth.geometry.spacing, rng, organs, count)
    like = source or truth
    _write(files, hu, ids, like, name, method, found, seed)
    if files.picture is not None:
        _draw(files.picture, replace(like, array=bare), hu, ids, found)
    for path in files.all():
        typer.echo(str(path))
    for lesion in found:
        typer.echo(
            f"{lesion.kind} ({lesion.organ}), {lesion.diameter_mm:.1f} mm, "
            f"{lesion.mean_hu:.0f} HU, at voxel {lesion.centre}"
        )


class _Files(NamedTuple):
    """What is written: CT, label map (with a sidecar), record, and the picture if asked for."""

    ct: Path
    mask: Path
    record: Path
    picture: Path | None

    def all(self) -> list[Path]:
        """In the order in which they are written."""
        from vista3d.results.label_map import sidecar

        files = [self.ct, self.mask, sidecar(self.mask), self.record]
        return files if self.picture is None else [*files, self.picture]


def _plan(out: Path, name: str, preview: bool) -> _Files:
    ct, mask, record = (out / f"{name}{end}" for end in ("_ct.nii.gz", "_labels.nii.gz", ".json"))
    return _Files(ct, mask, record, out / f"{name}_preview.png" if preview else None)


def _check_choice(scan: Path | None, lesions: str, resynthesise: bool, maisi: Path | None) -> None:
    """Refuse what cannot be meant."""
    if resynthesise and maisi is not None:
        msg = "--resynthesise and --maisi both make the intensities: choose one"
        raise UsageError(msg)
    if scan is not None and maisi is not None:
        msg = f"--maisi draws the whole CT from --labels: leave out {scan.name}"
        raise UsageError(msg)
    if scan is None and not resynthesise and maisi is None:
        msg = "no scan: give one, or --resynthesise or --maisi DIR to draw one from --labels"
        raise UsageError(msg)
    if scan is not None and not lesions and not resynthesise:
        msg = "nothing to do: give --lesions ORGANS, or --resynthesise"
        raise UsageError(msg)


def _read(labels: Path, scan: Path | None) -> tuple[Volume, Volume | None]:
    """Label map (integers) and scan, on one grid."""
    from vista3d.results.label_map import smallest_type
    from vista3d.volume import check_ct, read, read_label_map, read_truth

    if scan is None:
        drawn = read_label_map(labels, None)
        return replace(drawn, array=smallest_type(drawn.array)), None
    source = check_ct(read(scan))
    ids = smallest_type(read_truth(labels, source.geometry))
    return replace(source, array=ids), source


def _intensities(
    source: Volume | None,
    truth: Volume,
    rng: np.random.Generator,
    resynthesise: bool,
    maisi: Path | None,
    seed: int,
    device: str,
) -> tuple[np.ndarray, str]:
    """HU before lesions, and how they were made."""
    import numpy as np

    from vista3d.training.synthetic import scan as drawing

    if maisi is not None:
        return drawing.generate_for(truth, maisi, seed, device), "maisi"
    if source is None:
        return drawing.draw_for(truth, rng), "drawn from labels"
    if resynthesise:
        return drawing.perturb(source, truth, rng), "scan with other densities"
    return np.asarray(source.array, np.float32), "scan"


def _write(
    files: _Files,
    hu: np.ndarray,
    ids: np.ndarray,
    like: Volume,
    name: str,
    method: str,
    lesions: list[Lesion],
    seed: int,
) -> None:
    """Write the files, each complete or not at all."""
    import numpy as np

    from vista3d import __version__
    from vista3d.results import write_label_map
    from vista3d.results.json_file import write_json
    from vista3d.volume import write_labels

    present = [int(i) for i in np.unique(ids) if i]
    whole = np.clip(np.rint(hu), -1024, 32767).astype(np.int16)
    write_labels(files.ct, whole, like)  # writes any integers on the scan's grid
    write_label_map(files.mask, ids, like, present)
    document: dict[str, Any] = {
        "synthetic": True,
        "vista3d": __version__,
        "source": name,
        "intensities": method,
        "seed": seed,
        "lesions": [asdict(lesion) for lesion in lesions],
    }
    write_json(files.record, document)


def _draw(
    path: Path, before: Volume, hu: np.ndarray, ids: np.ndarray, lesions: list[Lesion]
) -> None:
    """The lesions before and after, or without any an overview of the structures."""
    import numpy as np

    from vista3d.results.preview import preview, write_preview

    if lesions:
        from vista3d.cli.lesion_picture import draw_lesions

        write_preview(path, draw_lesions(before, hu, lesions))
    else:
        present = [int(i) for i in np.unique(ids) if i]
        write_preview(path, preview(ids, replace(before, array=hu), present))
