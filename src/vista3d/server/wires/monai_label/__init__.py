"""MONAI Label's REST protocol: the clients in 3D Slicer and OHIF.

The same network is published under three names, because clients sort models by their type: OHIF
shows `vista3d`, 3D Slicer shows a `segmentation` and a `deepgrow` model.
"""
