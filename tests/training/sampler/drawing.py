"""Patches drawn with characters, so that a test shows what it means.

A drawing is one axial plane: rows are i, columns are j. It is repeated along k, where the patch
border neither erodes nor grows anything: what holds in the drawing holds in the volume.
"""

from __future__ import annotations

import torch

LIVER, SPLEEN, PANCREAS, TRACHEA, TUMOUR = 1, 3, 4, 57, 26
LABELS = {".": 0, "L": LIVER, "S": SPLEEN, "P": PANCREAS, "T": TRACHEA, "t": TUMOUR}
SUPERVOXELS = {".": 0, "a": 1, "b": 2, "c": 3}


def drawn(art: str, codes: dict[str, int], thickness: int = 4) -> torch.Tensor:
    """A drawing -> [rows, columns, thickness] int64."""
    plane = torch.tensor([[codes[c] for c in line.strip()] for line in art.split()])
    return plane[:, :, None].repeat(1, 1, thickness)


def labels(art: str, thickness: int = 4) -> torch.Tensor:
    """Global ids: L liver, S spleen, P pancreas, T trachea, t hepatic tumor."""
    return drawn(art, LABELS, thickness)


def supervoxels(art: str, thickness: int = 4) -> torch.Tensor:
    """Supervoxels a, b, c."""
    return drawn(art, SUPERVOXELS, thickness)


def mask(art: str, thickness: int = 4) -> torch.Tensor:
    """Bool: # is inside."""
    return drawn(art, {".": 0, "#": 1}, thickness) > 0
