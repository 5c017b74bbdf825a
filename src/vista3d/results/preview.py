"""A picture to judge a segmentation at a glance: three planes through it, and a legend.

Radiological convention: the patient's right is on the left of the axial and coronal planes,
superior is up, and the sagittal plane looks from the patient's left (anterior on the left).
Pixels are square in millimetres.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vista3d.anatomy import described
from vista3d.results.profile import Profile, profile_labels
from vista3d.volume.writers import atomic_path

if TYPE_CHECKING:
    from PIL import Image

    from vista3d.anatomy import Structure
    from vista3d.results.picture.legend import Entry
    from vista3d.results.picture.planes import Plane
    from vista3d.volume import Volume

SOFT_TISSUE = (-160.0, 240.0)
"""The abdominal window, W 400 L 40, as (low, high) in HU."""
WIDE = (-950.0, 550.0)
"""W 1500 L -200: lung vessels and airways stay visible beside the soft tissue."""
LUNG_SHARE = 0.15
"""Above this part of lung among the structures of the coronal plane the wide window is used."""
BACKGROUND = (12, 14, 18)
MARGIN = 16


def preview(
    labels: NDArray[np.integer],
    volume: Volume,
    ids: Iterable[int | Structure],
    *,
    window: tuple[float, float] | None = None,
    profile: Profile | None = None,
    clicks: Sequence[tuple[Sequence[float], bool]] = (),
) -> Image.Image:
    """Draw the axial, coronal and sagittal plane that show most structures, and a legend.

    Args:
        labels: global class ids (i, j, k) on the grid of `volume`.
        volume: the scan in HU.
        ids: classes to draw; others are left out.
        window: (low, high) in HU; by default soft tissue, or wide where lung is drawn.
        profile: `profile_labels(labels)` where it is known already.
        clicks: voxels (i, j, k) and whether they are positive; the planes go through the last
            positive one, and those near a plane are drawn.

    Returns:
        An RGB picture of at most about 1550 x 1170 pixels.
    """
    from PIL import Image

    from vista3d.results.picture.layout import arrange, canvas_size
    from vista3d.results.picture.legend import draw_legend
    from vista3d.results.picture.panel import draw_panel
    from vista3d.results.picture.planes import cut_planes

    spread = profile or profile_labels(labels)
    structures = described(ids)
    drawn = [number for number in structures if spread.count(number)]
    at = _through(clicks, spread.shape) if clicks else _choose_slices(spread, drawn)
    planes = cut_planes(labels, volume, at, drawn, clicks)
    shown = window or _window(planes[1], structures)
    width_mm, depth_mm = planes[0].millimetres
    boxes, corner = arrange(width_mm, depth_mm, planes[1].millimetres[1])
    size = canvas_size([*boxes, corner])
    whole = Image.new("RGB", (size[0] + 2 * MARGIN, size[1] + 2 * MARGIN), BACKGROUND)
    canvas = Image.new("RGB", size, BACKGROUND)
    colours = {number: structures[number].colour for number in drawn}
    for number, (plane, box) in enumerate(zip(planes, boxes, strict=True)):
        # All planes have one scale, so the axial plane carries the only bar.
        extent = (box.width, box.height)
        panel = draw_panel(plane, extent, colours, shown, scale_bar=number == 0)
        canvas.paste(panel, (box.x, box.y))
    note = f"W {shown[1] - shown[0]:.0f}  L {(shown[0] + shown[1]) / 2:.0f}"
    draw_legend(canvas, corner, _entries(planes, spread, volume, structures), note)
    whole.paste(canvas, (MARGIN, MARGIN))
    return whole


def write_preview(path: Path, picture: Image.Image) -> Path:
    """Write the picture as PNG, atomically."""
    with atomic_path(Path(path)) as temporary:
        picture.save(temporary, "PNG")
    return Path(path)


def _through(
    clicks: Sequence[tuple[Sequence[float], bool]], shape: tuple[int, ...]
) -> tuple[int, int, int]:
    """The voxel of the last positive click, or of the last one."""
    position = next((where for where, positive in reversed(clicks) if positive), clicks[-1][0])
    i, j, k = (min(max(round(x), 0), n - 1) for x, n in zip(position, shape, strict=True))
    return i, j, k


def _choose_slices(spread: Profile, drawn: list[int]) -> tuple[int, int, int]:
    """The index along each axis at which most structures show, each near its widest cut."""
    chosen = []
    for counts, size in zip(spread.along, spread.shape, strict=True):
        areas = counts[drawn].astype(np.float64)
        if not areas.size:
            chosen.append(size // 2)
            continue
        cut = np.sqrt(areas / areas.max(axis=1, keepdims=True))
        # The cube root of the volume is a structure's size: one liver speaks for four ribs.
        weight = np.cbrt(areas.sum(axis=1))
        chosen.append(int((weight @ cut).argmax()))
    return chosen[0], chosen[1], chosen[2]


def _window(coronal: Plane, structures: Mapping[int, Structure]) -> tuple[float, float]:
    """Soft tissue, or wide where lung is a good part of what is drawn.

    Who asks for a liver wants to see the liver, however much lung is above it; and air of the same
    density lies in a table and in bowel.
    """
    lung = [number for number, structure in structures.items() if structure.group == "lung"]
    drawn = np.count_nonzero(coronal.labels)
    share = np.isin(coronal.labels, lung).sum() / max(1, drawn)
    return WIDE if share > LUNG_SHARE else SOFT_TISSUE


def _entries(
    planes: Iterable[Plane],
    spread: Profile,
    volume: Volume,
    structures: Mapping[int, Structure],
) -> list[Entry]:
    """Structures of the picture, the largest first."""
    from vista3d.results.picture.legend import Entry

    visible = {int(n) for plane in planes for n in np.unique(plane.labels)} - {0}
    voxel_ml = float(abs(np.linalg.det(volume.affine[:3, :3]))) / 1000
    order = sorted(visible, key=lambda n: (-spread.count(n), n))
    shown = [structures[number] for number in order]
    return [Entry(s.name, s.colour, spread.count(s.id) * voxel_ml) for s in shown]
