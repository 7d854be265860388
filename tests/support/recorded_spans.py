"""Spans of this process, kept in a list in place of a collector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared import spans
from shared.spans import Attributes, Context, Kind


@dataclass
class Recorded:
    """One span."""

    name: str
    parent: Context | None
    links: Sequence[Context]
    attributes: dict[str, object]
    context: Context
    error: BaseException | None = None
    has_ended: bool = False

    def describe(self, name: str | None, attributes: Attributes) -> None:
        """As the real one."""
        self.name = name or self.name
        self.attributes |= attributes

    def end(self, error: BaseException | None) -> None:
        """As the real one."""
        self.error, self.has_ended = error, True


@dataclass
class Recorder:
    """Numbers spans, and traces by the first span of each."""

    recorded: list[Recorded] = field(default_factory=list)

    def begin(
        self, name: str, kind: Kind, parent: Context | None, links: Sequence[Context], attributes: Attributes
    ) -> Recorded:
        """As the real one."""
        number = len(self.recorded) + 1
        trace_id = number if parent is None else parent.trace_id
        self.recorded.append(Recorded(name, parent, links, dict(attributes), Context(trace_id, number, True)))
        return self.recorded[-1]


@contextmanager
def recording() -> Iterator[Recorder]:
    """Every trace is recorded until the block ends."""
    made = Recorder()
    spans.record_with(made, 1.0)
    try:
        yield made
    finally:
        spans.record_with(None)
