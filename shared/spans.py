"""Spans: the steps of a trace. Off unless a process opens a recorder (`shared.runtime.tracing`); then each call here is
a test of one name.

A trace begins with a request or a task, and a share of all traces is recorded. One that is not recorded has an id all
the same: log lines and problems name it, and what follows in other processes belongs to it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float | bool]

MAX_LINKS = 32
"""Of a step that serves many traces at once, how many it names."""
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_ATTRIBUTES: Attributes = {}
_SAMPLED = 1
_random = random.Random()  # noqa: S311 - ids and a share of traces: nothing secret depends on them


@dataclass(frozen=True, slots=True)
class Context:
    """Which trace and which step in it, and whether the trace is recorded."""

    trace_id: int
    span_id: int
    is_recorded: bool

    @classmethod
    def read(cls, traceparent: str | None) -> Context | None:
        """From a `traceparent` of W3C Trace Context; None for text that is none."""
        found = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
        if found is None:
            return None
        trace_id, span_id, flags = (int(part, 16) for part in found.groups())
        return cls(trace_id, span_id, bool(flags & _SAMPLED)) if trace_id and span_id else None

    @property
    def traceparent(self) -> str:
        """As other processes read it."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.is_recorded:02x}"

    @property
    def trace(self) -> str:
        """The trace's id as people see it."""
        return f"{self.trace_id:032x}"


class Recording(Protocol):
    """One span that is recorded."""

    @property
    def context(self) -> Context:
        """Its place in the trace."""

    def describe(self, name: str | None, attributes: Attributes) -> None:
        """Give it another name, and say more about it."""

    def end(self, error: BaseException | None) -> None:
        """It has ended, by an error or not."""


class Recorder(Protocol):
    """Records spans and sends them away."""

    def begin(
        self, name: str, kind: Kind, parent: Context | None, links: Sequence[Context], attributes: Attributes
    ) -> Recording:
        """Begin a span, of a trace of its own if it has no parent."""


class Step:
    """A span while its block runs. What the block begins belongs to it."""

    __slots__ = ("_context", "_recording", "_token")

    def __init__(self, context: Context | None, recording: Recording | None = None) -> None:
        self._context = context
        self._recording = recording
        self._token: Token[Step | None] | None = None

    @property
    def context(self) -> Context | None:
        """Its place in a trace, if it has one."""
        return self._context

    def describe(self, attributes: Attributes, *, name: str | None = None) -> None:
        """Say more about it, and give it another name, if it is recorded."""
        if self._recording is not None:
            self._recording.describe(name, attributes)

    def end(self, error: BaseException | None = None) -> None:
        """End a span whose block was never entered: nothing else belongs to it."""
        if self._recording is not None:
            self._recording.end(error)

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
        self.end(error)


class _Off(Step):
    """No span: tracing is off, or nothing of this trace is recorded."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


_OFF = _Off(None)
_current: ContextVar[Step | None] = ContextVar("span", default=None)
_recorder: Recorder | None = None
_ratio = 0.0


def record_with(recorder: Recorder | None, ratio: float = 0.0) -> None:
    """Record this share of all traces that begin here; None turns tracing off."""
    global _recorder, _ratio
    _recorder, _ratio = recorder, ratio


def are_on() -> bool:
    """Whether this process takes part in traces."""
    return _recorder is not None


def context() -> Context | None:
    """Where we are."""
    if _recorder is None:
        return None
    step = _current.get()
    return None if step is None else step.context


def trace_id() -> str | None:
    """The id of the trace that we are in."""
    here = context()
    return None if here is None else here.trace


def traceparent() -> str | None:
    """What to hand on, so that others go on with this trace."""
    here = context()
    return None if here is None else here.traceparent


def trace_of(traceparent: str | None) -> str | None:
    """The id of the trace that was handed on so."""
    handed_on = Context.read(traceparent)
    return None if handed_on is None else handed_on.trace


def describe(attributes: Attributes, *, name: str | None = None) -> None:
    """Say more about the span that we are in, and give it another name, if it is recorded."""
    step = None if _recorder is None else _current.get()
    if step is not None:
        step.describe(attributes, name=name)


def begin_trace(
    name: str, kind: Kind, *, parent: Context | None = None, attributes: Attributes = _NO_ATTRIBUTES
) -> Step:
    """The first span of this process in a trace, that of `parent` if others began it.

    Whether it is recorded is our decision: a caller cannot make us record everything.
    """
    if _recorder is None:
        return _OFF
    if _random.random() < _ratio:
        recording = _recorder.begin(name, kind, parent, (), attributes)
        return Step(recording.context, recording)
    return Step(
        Context(
            _random.getrandbits(128) or 1 if parent is None else parent.trace_id,
            _random.getrandbits(64) or 1,
            is_recorded=False,
        )
    )


def span(name: str, kind: Kind = "internal", *, attributes: Attributes = _NO_ATTRIBUTES) -> Step:
    """A step within the span that we are in; none outside of traces and in one that is not recorded."""
    if _recorder is None:
        return _OFF
    step = _current.get()
    if step is None or step.context is None or not step.context.is_recorded:
        return _OFF
    recording = _recorder.begin(name, kind, step.context, (), attributes)
    return Step(recording.context, recording)


def go_on(
    traceparent: str | None,
    name: str,
    kind: Kind = "consumer",
    *,
    links: Iterable[Context | None] = (),
    attributes: Attributes = _NO_ATTRIBUTES,
) -> Step:
    """A step of a trace that was begun elsewhere, maybe long ago; without one, the beginning of a trace."""
    if _recorder is None:
        return _OFF
    parent = Context.read(traceparent)
    if parent is None:
        return begin_trace(name, kind, attributes=attributes)
    if not parent.is_recorded:
        return Step(parent)
    recording = _recorder.begin(name, kind, parent, _recorded(links), attributes)
    return Step(recording.context, recording)


def for_many(name: str, of: Iterable[Context | None], *, attributes: Attributes = _NO_ATTRIBUTES) -> Step:
    """A step that serves many traces at once: it belongs to the first that is recorded, and names the others."""
    if _recorder is None:
        return _OFF
    served = _recorded(of)
    if not served:
        return Step(None)  # not that of the task's creator, whose context a task inherits
    recording = _recorder.begin(name, "internal", served[0], served[1:], attributes)
    return Step(recording.context, recording)


def _recorded(contexts: Iterable[Context | None]) -> list[Context]:
    found = dict.fromkeys(context for context in contexts if context is not None and context.is_recorded)
    return list(found)[:MAX_LINKS]
