"""A port of its own for `/metrics`, so that it is never on the one that everyone reaches."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from socketserver import TCPServer
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import Field

from shared.config import Settings
from shared.runtime.processes import EachProcess

READ_TIMEOUT_SECONDS = 5
_SEVERAL = "PROMETHEUS_MULTIPROC_DIR"
"""Set where several processes count together."""

_logger = logging.getLogger(__name__)


class MetricsSettings(Settings):
    """Where a process shows what it counts. Not on the port that it serves."""

    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Port on which `/metrics` is served. Not set: nowhere."""
    metrics_host: str = "127.0.0.1"
    """Address on which it is: everyone who can reach it may read how much is going on."""


class _Server(WSGIServer):
    """Answers one request after another; the processes of one service share the port."""

    allow_reuse_port = True

    def server_bind(self) -> None:
        """Bind without asking for the host's full name, which would be a DNS query."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hung up, or sent nothing in time."""


class _Handler(WSGIRequestHandler):
    timeout = READ_TIMEOUT_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of its base
        """Write no line."""


def serve_metrics(settings: MetricsSettings) -> Callable[[], None]:
    """Serve `/metrics` from a thread, if a port is set. Returns what stops it. A port in use stops no service."""
    if settings.metrics_port is None:
        return lambda: None
    try:
        server = _bound(settings.metrics_host, settings.metrics_port)
    except OSError as error:
        _logger.warning("no metrics on port %d: %s", settings.metrics_port, error.strerror)
        return lambda: None
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def _bound(host: str, port: int) -> _Server:
    server = _Server((host, port), _Handler, bind_and_activate=False)
    server.allow_reuse_port = _SEVERAL in os.environ
    try:
        server.server_bind()
        server.server_activate()
    except OSError:
        server.server_close()
        raise
    server.set_app(make_wsgi_app(_registry()))
    return server


def _registry() -> CollectorRegistry:
    """What this process counts; where several share a port, what all count together, and what each of them takes."""
    if _SEVERAL not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(EachProcess())
    return registry
