"""Named settings of automatic inference (facts 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vista3d.errors import UsageError
from vista3d.inference.tiles import Upsampling
from vista3d.inference.windows import Mode, Placement
from vista3d.volume.prepare import Crop


@dataclass(frozen=True)
class Preset:
    """How windows are laid, weighted and cropped.

    Attributes:
        overlap: of neighbouring windows, share of the window.
        mode: weight of a window's voxels.
        placement: MONAI's rule, or ours.
        padding: what surrounds a volume smaller than the window; "air" is 0 after scaling.
        crop: box that is segmented.
        margin: voxels kept around it.
        skip_air: leave out windows without body.
        upsampling: how logits get to the scan's grid; "nearest" gives the labels of the official
            pipelines, which take the argmax on the model grid and copy labels.
    """

    overlap: float
    mode: Mode
    placement: Placement
    padding: Literal["replicate", "air"]
    crop: Crop
    margin: int
    skip_air: bool
    upsampling: Upsampling


PRESETS = {
    # The product bundle, NV-Segment-CT >= 0.5.7. Its configured 0.3 is never passed on.
    "bundle": Preset(0.25, "constant", "regular", "replicate", "foreground", 10, False, "nearest"),
    # The paper's research code: no crop, denser windows.
    "paper": Preset(0.625, "gaussian", "regular", "air", "none", 0, False, "nearest"),
    # Ours: the fewest windows that overlap by a quarter, seams hidden by the Gaussian weight.
    "default": Preset(0.25, "gaussian", "even", "air", "body", 4, True, "linear"),
}


def preset(name: str | None) -> Preset:
    """A preset by name; None is the default.

    Raises:
        UsageError: unknown name.
    """
    try:
        return PRESETS[name or "default"]
    except KeyError:
        msg = f"unknown preset {name!r}: one of {', '.join(PRESETS)}"
        raise UsageError(msg) from None
