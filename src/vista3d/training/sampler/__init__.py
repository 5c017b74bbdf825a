"""The prompt sampler: what training clicks on, and where (paper section 3.3, facts 3.4-3.5).

- `target`: a mask, its token, and the regions that need a click of their own.
- `scene`: labels and supervoxels of a patch, counted once.
- `branches`: the five published branches, from a whole organ to a random supervoxel.
- `extras`: our own: cuts, unions, regions of one density, painted lesions, balls.
- `choose`: BranchShares and draw_targets: which branch how often.
- `clicks`: first clicks and corrections.
- `morphology`: erosion, dilation, opening, components.
"""

from vista3d.training.sampler.choose import (
    PUBLISHED,
    WITHOUT_SUPERVOXELS,
    BranchShares,
    draw_targets,
)
from vista3d.training.sampler.clicks import ClickBatch, Clicks, first_clicks, next_clicks
from vista3d.training.sampler.extras import draw_balls
from vista3d.training.sampler.scene import Scene, whole
from vista3d.training.sampler.target import Target

__all__ = [
    "PUBLISHED",
    "WITHOUT_SUPERVOXELS",
    "BranchShares",
    "ClickBatch",
    "Clicks",
    "Scene",
    "Target",
    "draw_balls",
    "draw_targets",
    "first_clicks",
    "next_clicks",
    "whole",
]
