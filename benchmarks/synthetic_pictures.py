"""The pictures of docs/synthetic.md: painted lesions before and after, and a drawn CT.

python -m benchmarks synthetic_pictures --data ../shared/data -o docs/images
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from vista3d import anatomy
from vista3d import volume as vol
from vista3d.cli.lesion_picture import lesion_pair, painted
from vista3d.results.picture.pairs import draw_pairs
from vista3d.training.synthetic.body import add_body
from vista3d.training.synthetic.lesions import Lesion, paint_lesions
from vista3d.training.synthetic.resynthesis import draw_scan

LESIONS = (
    ("liver", "hypovascular metastasis", 16),
    ("liver", "hepatocellular carcinoma", 17),
    ("kidney", "simple cyst", 11),
    ("kidney", "clear cell carcinoma", 5),
    ("kidney", "papillary carcinoma", 10),
    ("pancreas", "ductal adenocarcinoma", 1),
    ("lung", "solid nodule", 12),
    ("lung", "spiculated tumour", 18),
    ("lung", "part-solid nodule", 27),
    ("lung", "ground-glass nodule", 31),
    ("bone", "lytic metastasis", 2),
    ("bone", "sclerotic metastasis", 0),
)
"""Organ, kind, and the seed from which the first lesion of this kind is taken."""

TILE, COLUMNS = 176, 3
COLOURS = 128
"""Colours of the files: the eye sees no more, and the picture takes half the bytes."""


def main(arguments: list[str]) -> None:
    """Write lesions.png and resynthesis.png."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks synthetic_pictures", description=__doc__
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("-o", "--output", type=Path, default=Path("docs/images"))
    options = parser.parse_args(arguments)
    _save(_lesions(options.data), options.output / "lesions.png")
    _save(_resynthesis(options.data), options.output / "resynthesis.png")


def _case(data: Path, folder: str, name: str) -> tuple[vol.Volume | None, np.ndarray, vol.Volume]:
    """Scan (where there is one), global ids, and the label file."""
    import json

    root = data / folder
    mapping = anatomy.dataset_ids(json.loads((root / "dataset.json").read_text())["labels"])
    truth = vol.read(root / "labelsTr" / f"{name}.nii.gz")
    table = np.zeros(256, np.int16)
    for local, global_id in mapping.items():
        table[local] = global_id
    image = root / "imagesTr" / f"{name}_0000.nii.gz"
    return (vol.read(image) if image.is_file() else None), table[truth.array], truth


def _grey(plane: np.ndarray, window: tuple[float, float], size: tuple[int, int]) -> Image.Image:
    """Pixels [columns, rows] of HU as a picture."""
    low, high = window
    share = np.clip((plane - low) / (high - low), 0, 1)
    return Image.fromarray((255 * share.T).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def _lesions(data: Path) -> Image.Image:
    scan, labels, _ = _case(data, "Dataset103_TorsoPseudo", "lidc_0001")
    assert scan is not None
    before = replace(scan, array=np.asarray(scan.array, np.float32))
    pairs = []
    for organ, kind, seed in LESIONS:
        hu, lesion = _first(scan, labels, organ, kind, seed)
        pairs.append(lesion_pair(before, hu, painted(before, hu), lesion))
    return draw_pairs(pairs, columns=COLUMNS, tile=TILE)


def _first(
    scan: vol.Volume, labels: np.ndarray, organ: str, kind: str, start: int
) -> tuple[np.ndarray, Lesion]:
    """The first lesion of this kind that is large enough to see."""
    for seed in range(start, start + 100):
        rng = np.random.default_rng(seed)
        hu, _, found = paint_lesions(scan.array, labels, scan.geometry.spacing, rng, [organ])
        if found and found[0].kind == kind and found[0].diameter_mm > 10:
            return hu, found[0]
    msg = f"no {kind} in 100 seeds"
    raise RuntimeError(msg)


def _resynthesis(data: Path) -> Image.Image:
    """A label map and three CTs drawn from it, coronal and axial."""
    _, labels, truth = _case(data, "Dataset105_LabelMaps", "s0327")
    spacing = truth.geometry.spacing[0]
    tissue = add_body(labels, spacing)
    coronal, axial = int(0.52 * labels.shape[1]), int(0.45 * labels.shape[2])
    # An orientation letter names the side towards which the index grows; right is on the left.
    right, front, up = (
        slice(None, None, -1 if letter == towards else 1)
        for letter, towards in zip(truth.geometry.orientation, "RAS", strict=True)
    )
    cuts: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
        lambda a: a[right, coronal, up],
        lambda a: a[right, front, axial],
    )
    drawn = [draw_scan(tissue, np.random.default_rng(seed), spacing) for seed in (3, 5, 11)]
    heights = [int(cut(labels).shape[1] * 230 / labels.shape[0]) for cut in cuts]
    sheet = Image.new("RGB", (4 * 230, sum(heights)), (0, 0, 0))
    colours = np.zeros((2048, 3), np.uint8)
    for class_id in np.unique(labels[labels > 0]):
        colours[class_id] = anatomy.by_id(int(class_id)).colour
    top = 0
    for cut, height in zip(cuts, heights, strict=True):
        picture = Image.fromarray(colours[cut(labels)].transpose(1, 0, 2))
        sheet.paste(picture.resize((230, height), Image.Resampling.NEAREST), (0, top))
        for number, hu in enumerate(drawn):
            sheet.paste(_grey(cut(hu), (-250, 350), (230, height)), (230 * (number + 1), top))
        top += height
    return sheet


def _save(picture: Image.Image, path: Path) -> None:
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
