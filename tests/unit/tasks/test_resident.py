"""Work beside a worker's tasks begins with the worker, and a warm shutdown waits for its end."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from celery import Celery
from celery.worker.worker import WorkController

from shared.tasks.resident import resident
from tests.support.deadlines import deadline


def test_it_begins_once_and_the_stop_waits_until_it_has_ended() -> None:
    said: list[str] = []
    work: Future[None] = Future()

    def begin() -> Future[None]:
        said.append("begin")
        return work

    def end() -> None:
        said.append("end")
        work.set_result(None)

    step = resident(begin, end, deadline())(None)
    step.stop(None)
    assert said == [], "what was not begun is not ended"
    step.start(None)
    step.stop(None)
    assert said == ["begin", "end"]


def test_a_stop_does_not_wait_for_ever() -> None:
    step = resident(Future, lambda: None, 0.01)(None)
    step.start(None)
    with pytest.raises(TimeoutError):
        step.stop(None)


def test_a_worker_begins_it_before_it_takes_messages_and_stops_it_before_its_threads() -> None:
    celery = Celery("test", broker="redis://127.0.0.1:1/0", set_as_current=False)
    step = resident(Future, lambda: None, deadline())
    celery.steps["worker"].add(step)
    worker = WorkController(app=celery, pool_cls="threads", concurrency=1)
    steps: list[object] = vars(worker)["steps"]
    order = [type(each).__name__ for each in steps]
    assert order.index("Pool") < order.index("Resident") < order.index("Consumer")
