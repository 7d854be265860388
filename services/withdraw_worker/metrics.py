"""What the worker counts for Prometheus, and a port where that can be read: the worker has no other HTTP server."""

from __future__ import annotations

import logging
from collections.abc import Callable

from prometheus_client import Counter, Gauge, start_http_server

from services.withdraw_worker.settings import WorkerSettings
from shared.outbox.queue import Backlog

_SENT = Counter("batua_mails_sent", "Mails that the mail server accepted")
_WAITING = Gauge("batua_mails_waiting", "Mails and new messages that wait, at most 10000")
_OLDEST_DUE = Gauge("batua_mail_oldest_due_seconds", "For how long the oldest waiting mail has been due")

_logger = logging.getLogger(__name__)


def observe_mail(*, sent: int, backlog: Backlog) -> None:
    """Count what one run sent, and show what it left."""
    _SENT.inc(sent)
    _WAITING.set(backlog.waiting)
    _OLDEST_DUE.set(backlog.oldest_due_seconds)


def serve_metrics(settings: WorkerSettings) -> Callable[[], None]:
    """Serve `/metrics` from a thread, if a port is set. Returns what stops it. A port in use stops no payout."""
    if settings.worker_metrics_port is None:
        return lambda: None
    try:
        server, thread = start_http_server(settings.worker_metrics_port, settings.worker_metrics_host)
    except OSError as error:
        _logger.warning("no metrics on port %d: %s", settings.worker_metrics_port, error.strerror)
        return lambda: None

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
