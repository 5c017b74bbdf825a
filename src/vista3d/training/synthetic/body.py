"""The body around the structures of a label map, which labels only organs and bones."""

from __future__ import annotations

import numpy as np

from vista3d.training.synthetic.tissues import INTERIOR, SKIN, SUBCUTANEOUS


def add_body(labels: np.ndarray, spacing: float) -> np.ndarray:
    """Fill the space around labelled structures of a label map with tissue codes.

    Args:
        labels: (i, j, k) global ids on an isotropic grid.
        spacing: voxel size in mm.

    Returns:
        The same labels (int16) with INTERIOR inside the closed hull of the structures,
        a 15 mm shell of SUBCUTANEOUS around it and one voxel of SKIN.
    """
    from scipy import ndimage

    reach = 30.0  # mm; closes the abdominal cavity between spine, ribs and muscles
    outside = ndimage.distance_transform_edt(labels == 0) * spacing
    hull = ndimage.distance_transform_edt(outside <= reach) * spacing > reach
    for k in range(hull.shape[2]):
        hull[:, :, k] = ndimage.binary_fill_holes(hull[:, :, k])
    to_hull = ndimage.distance_transform_edt(~hull) * spacing
    out = labels.astype(np.int16)
    empty = labels == 0
    out[empty & (to_hull <= 15 + spacing)] = SKIN
    out[empty & (to_hull <= 15)] = SUBCUTANEOUS
    out[empty & hull] = INTERIOR
    return out
