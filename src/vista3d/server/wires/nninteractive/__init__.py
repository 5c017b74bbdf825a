"""nnInteractive's remote server protocol (client: `nninteractive-client`; napari, 3D Slicer).

Points, an initial segmentation, undo and reset; boxes, scribbles and lassos are not what the
network was trained with, so they are refused, and the capabilities say so.
"""
