"""Every error a user can meet: what was wrong, and what to do about it.

The command line maps `exit_code`, the server maps `http_status`.
"""

from __future__ import annotations


class Vista3DError(Exception):
    """Root of all errors of this package. The message carries the offending value and a remedy."""

    exit_code = 1
    http_status = 500


class UsageError(Vista3DError):
    """An option or argument that cannot be meant."""

    exit_code = 2
    http_status = 422


class UnknownClassError(UsageError):
    """A class prompt that is not in the table of structures."""


class CohortError(Vista3DError):
    """Some cases of a batch failed; the others are done."""

    exit_code = 3


class InputError(Vista3DError):
    """An image that cannot be read or segmented."""

    exit_code = 4
    http_status = 422


class GeometryError(InputError):
    """An image whose voxels have no usable place in the patient."""


class MemoryBudgetError(Vista3DError):
    """The work does not fit the memory, predicted before it started."""

    exit_code = 5
    http_status = 507


class WeightsError(Vista3DError):
    """Weights that are missing, damaged, refused, or cannot be fetched."""

    exit_code = 6
    http_status = 503


class ArchiveError(Vista3DError):
    """A DICOMweb archive that cannot be reached, refuses, or does not answer as it should."""

    exit_code = 7
    http_status = 502


class CancelledError(Vista3DError):
    """The user stopped the work; nothing half-done is left behind."""

    exit_code = 130
    http_status = 499
