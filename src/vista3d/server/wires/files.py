"""Label maps as files in memory."""

from __future__ import annotations

import numpy as np

from vista3d.server.service import Service
from vista3d.volume import Volume, write_labels


def encode(
    service: Service, labels: np.ndarray, like: Volume, extension: str, *, compress: bool
) -> bytes:
    """A label map as `write_labels` writes it; `compress` is for NRRD and MetaImage."""
    with service.storage.incoming() as folder:
        path = folder / f"label{extension}"
        write_labels(path, labels, like, compress=compress)
        return path.read_bytes()
