"""Keep a worker from falling silent when its broker comes back.

With a thread pool, messages are acknowledged by the threads. When the broker goes away in that moment the
acknowledgement is lost, but the consumer still counts the message as being worked on. Once that has
happened to as many messages as it may hold, it asks for no more, so it has no connection left on which it could notice
that anything is wrong, and stays silent for ever. This step notices, and has the consumer connect anew.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from celery.worker import state

_logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
SUSPICIOUS_CHECKS = 3
"""In a row: between a task's end and its acknowledgement there is a moment that looks just the same."""


class NoticesLostAcknowledgements(bootsteps.StartStopStep):
    """Part of the worker's consumer, started and stopped with each connection."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._suspicious = 0

    def start(self, consumer: Any) -> None:
        """Look every CHECK_SECONDS from now on."""
        self._suspicious = 0
        self._timer = consumer.timer.call_repeatedly(CHECK_SECONDS, self.check, (consumer,))

    def stop(self, _consumer: Any) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def check(self, consumer: Any) -> None:
        """Raise ConnectionResetError when nothing is being worked on and yet nothing more may be taken.

        It is raised on the consumer's own loop, which treats it like any lost connection.
        """
        is_full = not consumer.task_consumer.channel.qos.can_consume()
        self._suspicious = self._suspicious + 1 if is_full and not state.reserved_requests else 0
        if self._suspicious >= SUSPICIOUS_CHECKS:
            self._suspicious = 0
            _logger.warning("acknowledgements were lost with the broker; connecting anew")
            raise ConnectionResetError("acknowledgements were lost")
