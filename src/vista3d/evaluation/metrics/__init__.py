"""How well a mask agrees with the truth, one file a concept; the numbers come from MONAI.

MONAI's metrics are tested against DeepMind's `surface-distance`, whose own package stopped at
version 0.1 and fails with NumPy 2. Its area-weighted surfaces are MONAI's `use_subvoxels`, and its
Dice is the one behind the published tables.
"""

from vista3d.evaluation.metrics.overlap import dice
from vista3d.evaluation.metrics.score import TOLERANCE_MM, Outcome, Score, score
from vista3d.evaluation.metrics.surface import hausdorff95, surface_dice
from vista3d.evaluation.metrics.volume import volume_ml

__all__ = [
    "TOLERANCE_MM",
    "Outcome",
    "Score",
    "dice",
    "hausdorff95",
    "score",
    "surface_dice",
    "volume_ml",
]
