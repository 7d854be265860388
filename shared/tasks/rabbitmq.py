"""The broker's side of RabbitMQ: a bounded queue, and connections whose server is verified."""

from __future__ import annotations

from typing import Any

from kombu import Exchange, Queue
from kombu.transport import pyamqp

from shared.tasks.broker import MAX_QUEUED, QUEUE_KEPT_SECONDS
from shared.tasks.names import QUEUE


def bounded_queue() -> Queue:
    """The queue of all hints. When no worker takes any, the oldest go; when it is no longer used, it goes."""
    bounds = {"x-max-length": MAX_QUEUED, "x-overflow": "drop-head", "x-expires": QUEUE_KEPT_SECONDS * 1000}
    return Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE, queue_arguments=bounds)


class VerifyingTransport(pyamqp.Transport):  # type: ignore[misc]  # kombu has no types
    """Kombu's transport for RabbitMQ. With TLS, the signer and the name are verified, by the system's certificates."""

    def establish_connection(self) -> Any:
        """Connect."""
        if self.client.ssl:
            self.client.ssl = {"context": {"check_hostname": True}, "server_hostname": self.client.hostname}
        return super().establish_connection()
