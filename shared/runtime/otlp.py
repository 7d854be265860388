"""OpenTelemetry's SDK as the recorder of spans, and its exporter by OTLP over HTTP. Loaded only when tracing is on."""

from __future__ import annotations

import os
from collections.abc import Sequence

from opentelemetry.context import Context as Holder
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from shared.spans import Attributes, Context, Kind, Recording
from shared.version import VERSION

SEND_TIMEOUT_SECONDS = 5.0
MAX_WAITING_SPANS = 4096
"""Spans that wait to be sent. Further ones are dropped: no request waits for the collector."""

_RECORDED = TraceFlags(TraceFlags.SAMPLED)
_NO_PARENT = Holder()
_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}


def open_provider(url: str, service: str) -> TracerProvider:
    """Begin to send spans to the collector at this base address, in a thread of its own. Shut it down at the end."""
    resource = Resource.create(
        {
            "service.name": service,
            "service.version": VERSION,
            "service.instance.id": f"{os.uname().nodename}:{os.getpid()}",
        }
    )
    exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=SEND_TIMEOUT_SECONDS)
    # Which traces are recorded is decided before: whatever reaches the SDK is.
    provider = TracerProvider(resource=resource, sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=MAX_WAITING_SPANS))
    return provider


class SdkRecorder:
    """Spans of a provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer: Tracer = provider.get_tracer("batua", VERSION)

    def begin(
        self, name: str, kind: Kind, parent: Context | None, links: Sequence[Context], attributes: Attributes
    ) -> Recording:
        """Begin a span, of a trace of its own if it has no parent."""
        context = _NO_PARENT if parent is None else set_span_in_context(NonRecordingSpan(_place(parent)), _NO_PARENT)
        linked = [Link(_place(link)) for link in links]
        span = self._tracer.start_span(name, context, _KINDS[kind], dict(attributes), linked)
        return _SdkRecording(span)


class _SdkRecording:
    """A span of the SDK."""

    __slots__ = ("_span", "context")

    def __init__(self, span: Span) -> None:
        place = span.get_span_context()
        self._span = span
        self.context = Context(place.trace_id, place.span_id, is_recorded=True)

    def describe(self, name: str | None, attributes: Attributes) -> None:
        """Give it another name, and say more about it."""
        if name is not None:
            self._span.update_name(name)
        self._span.set_attributes(dict(attributes))

    def end(self, error: BaseException | None) -> None:
        """It has ended. Of an error its name is recorded; its text may hold more than a span should."""
        if error is not None:
            self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            self._span.set_attribute("error.type", type(error).__name__)
        self._span.end()


def _place(context: Context) -> SpanContext:
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=_RECORDED)
