"""DICOMweb: series from an archive, results back into it."""

from vista3d.dicomweb.archive import Archive, Series

__all__ = ["Archive", "Series"]
