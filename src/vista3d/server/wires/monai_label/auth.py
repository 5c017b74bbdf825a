"""`/auth/`: the login of MONAI Label's clients; the password is the server's token."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from vista3d.server.errors import NotFoundError, UnauthorizedError
from vista3d.server.security import same_token
from vista3d.server.settings import Settings

OPEN = frozenset({"/auth/", "/auth/token"})
"""Where a client that has no token yet must come."""


class Login:
    """The endpoints."""

    def __init__(self, settings: Settings) -> None:
        self._token = settings.token

    def about(self) -> dict[str, Any]:
        """Whether a login is needed."""
        return {"enabled": self._token is not None, "client_id": "vista3d", "realm": "vista3d"}

    async def token(self, request: Request) -> dict[str, str]:
        """A password for a token; any user name will do.

        Raises:
            UnauthorizedError: a wrong password.
        """
        if self._token is None:
            msg = "this server needs no login"
            raise NotFoundError(msg)
        form = await request.form()
        password = form.get("password")
        if not isinstance(password, str) or not same_token(password, self._token):
            msg = "wrong password: it is the token that the server was started with"
            raise UnauthorizedError(msg)
        return {"access_token": self._token, "token_type": "Bearer"}

    def valid(self) -> dict[str, Any]:
        """Reached only with a good token."""
        return {"valid": True}
