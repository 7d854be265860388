"""Turn tracing on: spans go to a collector of OpenTelemetry. Without its address nothing is loaded or recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from shared import spans
from shared.addresses import Address
from shared.config import PrivateNetworkSettings
from shared.production import plain_text
from shared.spans import Step

LAST_SEND_SECONDS = 3.0
"""How long a process that stops tries to send what it has left."""
MAX_STATEMENT = 400
"""Of a statement's text, so many letters are recorded. It holds no values."""
_SPAN = "_batua_span"

_logger = logging.getLogger(__name__)


class TracingSettings(PrivateNetworkSettings):
    """Where traces are sent. A span names routes, statements, banks and ids; it holds no value of a body."""

    traces_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+(/[^\s?#]*)?$")
    """Base address of a collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Not set: no traces."""
    traces_ratio: float = Field(default=0.05, ge=0, le=1)
    """Share of all traces that are recorded. Logs and problems name the trace of every request."""

    def refusals(self) -> Iterator[str]:
        """A way to the collector without TLS."""
        yield from super().refusals()
        if self.traces_url is not None:
            parts = urlsplit(self.traces_url)
            address = Address((parts.hostname or "",), "", is_encrypted=parts.scheme == "https")
            yield from plain_text("BATUA_TRACES_URL", address, self.private, "use https://")


@asynccontextmanager
async def open_tracing(settings: TracingSettings, service: str) -> AsyncIterator[None]:
    """Record and send spans as long as the block lasts, if a collector is named."""
    if settings.traces_url is None:
        yield
        return
    from shared.runtime.otlp import SdkRecorder, open_provider  # noqa: PLC0415 - 20 MB that only tracing needs

    provider = open_provider(settings.traces_url, service)
    spans.record_with(SdkRecorder(provider), settings.traces_ratio)
    try:
        yield
    finally:
        spans.record_with(None)
        try:
            await asyncio.wait_for(asyncio.to_thread(provider.shutdown), LAST_SEND_SECONDS)
        except TimeoutError:
            _logger.warning("the last spans were not sent: the collector does not answer")


def trace_statements(engine: AsyncEngine) -> None:
    """Record each statement of the engine's sessions as a span of the trace that it belongs to."""
    if not spans.are_on():
        return

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def _begin(_connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        words = statement.split(None, 1)
        attributes = {"db.system.name": "postgresql", "db.query.text": statement[:MAX_STATEMENT]}
        step = spans.span(words[0].upper() if words else "statement", "client", attributes=attributes)
        setattr(context, _SPAN, step)

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def _end(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        step: Step = getattr(context, _SPAN)
        step.end()

    @event.listens_for(engine.sync_engine, "handle_error")
    def _fail(context: Any) -> None:
        step: Step | None = getattr(context.execution_context, _SPAN, None)
        if step is not None:
            step.end(context.original_exception)
