"""From a scan and prompts to labels on the scan's own grid."""

from vista3d.inference.automatic import Segmentation
from vista3d.inference.interactive import InteractiveSession
from vista3d.inference.model import Model, load
from vista3d.inference.watch import Progress

__all__ = ["InteractiveSession", "Model", "Progress", "Segmentation", "load"]
