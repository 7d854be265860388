"""Spans: which are recorded, which are children of which, and that they are nothing when tracing is off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from infra.local.layout import CHECKOUT
from shared import spans
from shared.spans import MAX_LINKS, Context
from tests.support.recorded_spans import Recorder, recording

OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as made:
        yield made


def test_without_a_recorder_there_is_nothing() -> None:
    with spans.begin_trace("a", "server") as outer, spans.span("b") as inner, spans.for_many("c", []):
        assert outer is inner
        assert (spans.trace_id(), spans.traceparent(), spans.context()) == (None, None, None)
    assert not spans.are_on()


def test_a_step_within_a_step_is_its_child(recorder: Recorder) -> None:
    with spans.begin_trace("request", "server"):
        with spans.span("question"):
            assert spans.trace_id() == f"{1:032x}"
        spans.describe({"status": 200}, name="GET /wallet")
    request, question = recorder.recorded
    assert (request.name, request.parent, request.attributes) == ("GET /wallet", None, {"status": 200})
    assert question.parent == request.context
    assert request.has_ended
    assert question.has_ended


def test_an_error_ends_the_span_with_it(recorder: Recorder) -> None:
    with pytest.raises(KeyError), spans.begin_trace("request", "server"):
        raise KeyError
    assert isinstance(recorder.recorded[0].error, KeyError)
    assert spans.context() is None


def test_a_trace_that_is_not_recorded_has_an_id_and_no_spans(recorder: Recorder) -> None:
    spans.record_with(recorder, 0.0)
    with spans.begin_trace("request", "server"), spans.span("question"):
        trace_id, traceparent = spans.trace_id(), spans.traceparent()
    assert recorder.recorded == []
    assert trace_id is not None
    assert len(trace_id) == 32
    assert traceparent is not None
    assert traceparent.endswith("-00")
    with spans.go_on(traceparent, "later"):
        assert spans.trace_id() == trace_id
    assert recorder.recorded == []


def test_what_others_say_names_the_trace_and_does_not_decide_that_it_is_recorded(recorder: Recorder) -> None:
    spans.record_with(recorder, 0.0)
    with spans.begin_trace("request", "server", parent=Context.read(OTHER)):
        assert spans.trace_id() == "0af7651916cd43dd8448eb211c80319c"
        assert spans.traceparent() != OTHER
    assert recorder.recorded == []


def test_a_step_goes_on_with_a_trace_of_long_ago(recorder: Recorder) -> None:
    with spans.begin_trace("webhook", "server"), spans.go_on(OTHER, "notice", links=[spans.context()]) as notice:
        assert notice.context is not None
        assert notice.context.trace == "0af7651916cd43dd8448eb211c80319c"
    webhook, settled = recorder.recorded
    assert settled.links == [webhook.context]
    assert settled.parent == Context.read(OTHER)


def test_a_step_for_many_is_a_child_of_the_first_and_names_the_others(recorder: Recorder) -> None:
    served = [Context(number, 1, is_recorded=number % 2 == 0) for number in range(1, 200)]
    with spans.for_many("batch", [None, *served, served[1]]):
        pass
    (batch,) = recorder.recorded
    assert batch.parent == served[1]
    assert batch.links == [context for context in served if context.is_recorded][1:MAX_LINKS]


async def test_a_step_for_none_that_is_recorded_is_not_that_of_the_tasks_creator(recorder: Recorder) -> None:
    async def lane() -> str | None:
        with spans.for_many("batch", []):
            return spans.trace_id()

    with spans.begin_trace("request", "server"):
        assert await asyncio.create_task(lane()) is None


@pytest.mark.parametrize(
    "text",
    [None, "", "x", OTHER.upper(), OTHER + "-", "01" + OTHER[2:], f"00-{'0' * 32}-b7ad6b7169203331-01", OTHER[:-1]],
)
def test_what_is_no_traceparent_is_none(text: str | None) -> None:
    assert Context.read(text) is None


def test_a_traceparent_is_read_as_it_was_written() -> None:
    context = Context.read(OTHER)
    assert context is not None
    assert context.traceparent == OTHER
    assert spans.trace_of(OTHER) == context.trace
    assert spans.trace_of("") is None


@pytest.mark.parametrize(
    ("modules", "unloaded"),
    [
        ("services.bank_webhook.main", ("opentelemetry.sdk", "opentelemetry.exporter", "requests")),
        # The client of Redis loads the SDK by itself where it is installed.
        ("services.user_app.main, services.merchant_app.main", ("opentelemetry.exporter", "requests")),
    ],
)
def test_a_process_without_tracing_loads_nothing_for_it(modules: str, unloaded: tuple[str, ...]) -> None:
    program = f"import sys, {modules}; print(*(name for name in sys.modules if name.startswith({unloaded!r})))"
    run = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
