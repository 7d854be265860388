"""A consumer that may take no more while nothing is being worked on has lost acknowledgements."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import state

from shared.tasks.liveness import SUSPICIOUS_CHECKS, NoticesLostAcknowledgements


class Consumer:
    """As much of Celery's consumer as the step looks at."""

    def __init__(self, can_consume: bool) -> None:
        self.can_consume = can_consume
        qos = SimpleNamespace(can_consume=lambda: self.can_consume)
        self.task_consumer = SimpleNamespace(channel=SimpleNamespace(qos=qos))
        self.timer = SimpleNamespace(call_repeatedly=self._repeat)
        self.cancelled = False

    def _repeat(self, *_: Any) -> Any:
        return SimpleNamespace(cancel=lambda: setattr(self, "cancelled", True))


def looks(step: NoticesLostAcknowledgements, consumer: Consumer, times: int) -> None:
    for _ in range(times):
        step.check(consumer)


def test_it_connects_anew_when_it_stays_full_with_nothing_to_do() -> None:
    consumer = Consumer(can_consume=False)
    step = NoticesLostAcknowledgements(consumer)
    looks(step, consumer, SUSPICIOUS_CHECKS - 1)
    with pytest.raises(ConnectionResetError):
        step.check(consumer)


def test_a_moment_between_a_task_and_its_acknowledgement_is_no_reason() -> None:
    consumer = Consumer(can_consume=False)
    step = NoticesLostAcknowledgements(consumer)
    for _ in range(5):
        looks(step, consumer, SUSPICIOUS_CHECKS - 1)
        consumer.can_consume = True
        step.check(consumer)
        consumer.can_consume = False


def test_a_busy_worker_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "reserved_requests", {"a request"})
    consumer = Consumer(can_consume=False)
    looks(NoticesLostAcknowledgements(consumer), consumer, 10 * SUSPICIOUS_CHECKS)


def test_it_looks_only_while_connected() -> None:
    consumer = Consumer(can_consume=True)
    step = NoticesLostAcknowledgements(consumer)
    step.stop(consumer)
    step.start(consumer)
    step.stop(consumer)
    assert consumer.cancelled
