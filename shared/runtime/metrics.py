"""Counts and times of requests, by route template (never by path, which holds ids)."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.responses import Response

_REQUESTS = Counter("batua_http_requests", "Requests answered", ["service", "method", "route", "status"])
_SECONDS = Histogram("batua_http_request_seconds", "Time to answer", ["service", "method", "route"])


def observe(*, service: str, method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    _REQUESTS.labels(service, method, route, str(status)).inc()
    _SECONDS.labels(service, method, route).observe(seconds)


def render() -> Response:
    """Everything this process counts, in the Prometheus text format."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
