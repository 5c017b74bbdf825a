"""Supervoxels (paper Alg. 2): features of a 2D teacher, clustered in 3D.

They are training targets that no label set holds: regions that look like one thing to a teacher
that has seen many images. `segment_array` serves training, `supervoxels` a scan on its own grid.
"""

from vista3d.supervoxels.intensity import IntensityTeacher
from vista3d.supervoxels.make import segment_array, supervoxels
from vista3d.supervoxels.sam import SamTeacher, load_sam
from vista3d.supervoxels.slic import slic
from vista3d.supervoxels.teacher import Teacher

__all__ = [
    "IntensityTeacher",
    "SamTeacher",
    "Teacher",
    "load_sam",
    "segment_array",
    "slic",
    "supervoxels",
]
