"""What a client of the server can meet, beside the errors of the package."""

from __future__ import annotations

from vista3d.errors import UsageError, Vista3DError


class NotFoundError(Vista3DError):
    """No study, session, object or job of this id."""

    http_status = 404


class ConflictError(Vista3DError):
    """Not possible in the present state: somebody works here, or something is missing."""

    http_status = 409


class TooLargeError(Vista3DError):
    """More bytes or voxels than the server takes."""

    http_status = 413


class FormatError(Vista3DError):
    """A file of a type that the server does not take."""

    http_status = 415


class UnauthorizedError(Vista3DError):
    """No token, or a wrong one."""

    http_status = 401


class ForbiddenError(Vista3DError):
    """A request that another site's page made, or one for another host."""

    http_status = 403


class BusyError(Vista3DError):
    """Queues or memory are full; the same request will do later.

    Args:
        message: what is full.
        retry_after: seconds after which to try again.
    """

    http_status = 503

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyError(BusyError):
    """This client asks for more than its share; the same request will do later."""

    http_status = 429


class StorageFullError(Vista3DError):
    """No room on the server's disk."""

    http_status = 507


class StartError(UsageError):
    """Settings with which the server will not start."""
