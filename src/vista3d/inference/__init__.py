"""From a scan and prompts to labels on the scan's own grid."""

from vista3d.inference.automatic import Progress, Segmentation
from vista3d.inference.model import Model, load

__all__ = ["Model", "Progress", "Segmentation", "load"]
