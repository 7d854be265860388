"""Keep a worker from stopping to consume when its broker comes back.

With a thread pool, the threads acknowledge the messages. If the broker goes away at that moment, the acknowledgement
is lost, but the consumer still counts the message as being worked on. After as many lost acknowledgements as it may
hold messages, it asks for no more, and without a request it never notices that the connection is broken. This step
notices, and makes the consumer connect again.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from celery.worker import state

_logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
SUSPICIOUS_CHECKS = 3
"""In a row. Between the end of a task and its acknowledgement one check looks the same."""


class NoticesLostAcknowledgements(bootsteps.StartStopStep):
    """Part of the worker's consumer, started and stopped with each connection."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._suspicious = 0

    def start(self, consumer: Any) -> None:
        """Check every CHECK_SECONDS from now on."""
        self._suspicious = 0
        self._timer = consumer.timer.call_repeatedly(CHECK_SECONDS, self.check, (consumer,))

    def stop(self, _consumer: Any) -> None:
        """Stop checking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def check(self, consumer: Any) -> None:
        """Raise ConnectionResetError when no message is being worked on and the consumer may still take no more.

        It is raised on the consumer's own loop, which handles it as any lost connection.
        """
        is_full = not consumer.task_consumer.channel.qos.can_consume()
        self._suspicious = self._suspicious + 1 if is_full and not state.reserved_requests else 0
        if self._suspicious >= SUSPICIOUS_CHECKS:
            self._suspicious = 0
            _logger.warning("acknowledgements were lost with the broker; connecting again")
            raise ConnectionResetError("acknowledgements were lost")
