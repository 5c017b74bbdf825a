"""Numbers for Prometheus: what is asked, how long it takes, what is held."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vista3d.server.service import Service

_SECONDS = (0.01, 0.03, 0.1, 0.3, 0.7, 1, 2, 5, 10, 30, 120)


class Metrics:
    """The metrics of one server. Routes are templates: no id, no name is a label."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "vista3d_requests", "Requests answered", ("method", "route", "status"),
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "vista3d_request_seconds", "Time to the answer", ("method", "route"),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        for name, text, read in (
            ("sessions_open", "Sessions in memory", lambda: service.sessions.open),
            ("sessions_bytes", "Bytes that open sessions may take", lambda: service.sessions.bytes),
            ("sessions_bytes_limit", "Most bytes of all", lambda: service.sessions.memory),
            ("queue", "Calculations that wait for the device", lambda: service.lane.waiting),
            ("jobs", "Automatic runs under way or waiting", lambda: len(service.jobs.running)),
        ):  # fmt: skip
            Gauge(f"vista3d_{name}", text, registry=self.registry).set_function(read)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """In the Prometheus text format."""
        return generate_latest(self.registry)
