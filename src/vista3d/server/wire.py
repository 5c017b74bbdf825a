"""How another client's protocol joins the application."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter


@dataclass(frozen=True)
class Wire:
    """Routes beside `/api/v1`; they find the service as `request.app.state.service`.

    Attributes:
        router: its routes.
        body_limits: path pattern (whole path) -> bytes, for bodies above `Limits.body_bytes`.
        open_paths: answered without a token; for health checks and logins only.
        tidy: called every few seconds, also while nobody asks anything.
        close: called when the server stops, before the service.
    """

    router: APIRouter
    body_limits: Mapping[re.Pattern[str], int] = field(default_factory=dict)
    open_paths: frozenset[str] = frozenset()
    tidy: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None
