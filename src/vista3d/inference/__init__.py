"""From a scan and prompts to labels on the scan's own grid."""

from vista3d.inference.automatic import Segmentation
from vista3d.inference.model import Model, load
from vista3d.inference.watch import Progress

__all__ = ["Model", "Progress", "Segmentation", "load"]
