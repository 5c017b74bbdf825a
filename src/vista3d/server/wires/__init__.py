"""Other clients' protocols, on the server's own studies, sessions, jobs and lane.

They translate and compute nothing themselves: MONAI Label REST (3D Slicer, OHIF), VISTA-3D NIM, and
nnInteractive's remote server (napari, 3D Slicer).
"""

from vista3d.server.wires.build import build
from vista3d.server.wires.options import Options

__all__ = ["Options", "build"]
