"""Clicks, the objects they make, and the session that keeps them (paper Fig. 1, section 3.2)."""

from vista3d.inference.interactive.clicks import Click, Space
from vista3d.inference.interactive.masks import Mask
from vista3d.inference.interactive.pointer import Pointer, PointMask, Prompt
from vista3d.inference.interactive.scene import Overlap, SessionObject
from vista3d.inference.interactive.session import InteractiveSession

__all__ = [
    "Click",
    "InteractiveSession",
    "Mask",
    "Overlap",
    "PointMask",
    "Pointer",
    "Prompt",
    "SessionObject",
    "Space",
]
