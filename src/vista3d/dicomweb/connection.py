"""The way to a DICOMweb archive: address, credentials, and errors that say what to do.

The network is reached at the address that the user gave and nowhere else: redirects are refused,
and addresses inside answers are not followed. Credentials come from the environment or a netrc
file, never from the address, and are not logged.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vista3d.errors import ArchiveError, UsageError

if TYPE_CHECKING:
    import requests
    from dicomweb_client import DICOMwebClient

log = logging.getLogger(__name__)

TOKEN, USER, PASSWORD = "VISTA3D_PACS_TOKEN", "VISTA3D_PACS_USER", "VISTA3D_PACS_PASSWORD"
"""Environment: a bearer token, or a user and password; else requests reads ~/.netrc or $NETRC."""

TIMEOUT_S = (10.0, 120.0)
"""To connect, and between two packets: an archive may fetch a series from tape first."""


def checked_url(url: str) -> str:
    """An address without what does not belong into it.

    Raises:
        UsageError: not http or https, or a password, query or fragment inside.
    """
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        # Not repeated in the message: it would end in logs and terminals.
        msg = (
            "the address holds a user or password: leave them out, and set "
            f"{USER} and {PASSWORD}, or {TOKEN}, or use a netrc file"
        )
        raise UsageError(msg)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"'{url}' is no address of a DICOMweb service: http://host/path or https://host/path"
        raise UsageError(msg)
    if parts.query or parts.fragment:
        msg = f"'{url}' has a query or fragment: give the root of the DICOMweb service"
        raise UsageError(msg)
    return url.rstrip("/")


def connect(url: str) -> DICOMwebClient:
    """A client of the service at a checked address, with the user's credentials.

    Raises:
        UsageError: dicomweb-client is not installed.
    """
    try:
        from dicomweb_client import DICOMwebClient
    except ImportError as error:
        msg = "DICOMweb needs the package dicomweb-client: pip install 'vista3d[dicomweb]'"
        raise UsageError(msg) from error
    # Both log addresses with their queries, which may name a patient.
    for name in ("dicomweb_client", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    client = DICOMwebClient(url, session=_session(url), timeout=TIMEOUT_S)
    # It would repeat a stored file with an empty body; people can repeat a command.
    client.set_http_retry_params(retry=False)
    return client


def _session(url: str) -> requests.Session:
    import requests

    session = requests.Session()
    session.max_redirects = 0
    token, user = os.environ.get(TOKEN), os.environ.get(USER)
    if token:
        session.auth = _bearer(token)
    elif user:
        session.auth = (user, os.environ.get(PASSWORD, ""))
    local = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
    if session.auth and url.startswith("http:") and not local:
        log.warning("credentials go to %s unencrypted: use https where the archive has it", url)
    return session


def _bearer(token: str) -> Callable[[Any], Any]:
    """As an `auth`, so that requests does not put a netrc password over the header."""

    def sign(request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


@contextlib.contextmanager
def told(url: str) -> Iterator[None]:
    """Turn what requests raises into our error, with what to do."""
    import requests

    try:
        yield
    except requests.TooManyRedirects as error:
        msg = f"{url} redirects elsewhere, which is not followed: give the final address"
        raise ArchiveError(msg) from error
    except requests.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        hint = {
            401: f"set {TOKEN}, or {USER} and {PASSWORD}, or add it to a netrc file",
            403: "the credentials do not allow it",
            404: "is the address the root of its DICOMweb service?",
        }.get(status, "try again, or look into its log")
        msg = f"{url} answered with HTTP status {status}: {hint}"
        raise ArchiveError(msg) from error
    except (requests.exceptions.InvalidJSONError, ValueError) as error:
        # Raised by dicomweb-client and json for answers that are not what the standard says.
        msg = f"{url} gave an answer that is not DICOMweb ({error})"
        raise ArchiveError(msg) from error
    except requests.RequestException as error:
        msg = f"{url} cannot be reached ({type(error).__name__}): check address and network"
        raise ArchiveError(msg) from error
