"""Counts and times of requests, by route template: a path would hold ids."""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Histogram

_REQUESTS = Counter("batua_http_requests", "Requests answered", ["service", "method", "route", "status"])
_SECONDS = Histogram("batua_http_request_seconds", "Time to answer", ["service", "method", "route"])
_REFUSED = Counter("batua_http_refused", "Requests answered 503, and connections closed, at a limit", ["reason"])


def observe(*, service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    requests, times = _children(service, method, route, status)
    requests.inc()
    times.observe(seconds)


def count_refused(reason: str) -> None:
    """Count a request that was refused because there were too many, or a connection that was closed without one."""
    _REFUSED.labels(reason).inc()


@cache  # as many as prometheus_client keeps: routes, methods and statuses are few
def _children(service: str, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return _REQUESTS.labels(service, method, route, str(status)), _SECONDS.labels(service, method, route)
