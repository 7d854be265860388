"""Why a stream of events is not opened."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import TooMany, Unavailable

RETRY_AFTER_SECONDS = 5


@dataclass(eq=False)
class TooManyStreams(TooMany):
    """The owner has `limit` streams open in this process, which is the most."""

    limit: int

    code = "too_many_streams"
    title = "Too many pages are being kept live; close one"

    @property
    def retry_after_seconds(self) -> int:
        """A closed page ends its stream within moments."""
        return RETRY_AFTER_SECONDS


@dataclass(eq=False)
class StreamsExhausted(Unavailable):
    """This process has MAX_STREAMS streams open, or is about to stop."""

    code = "streams_exhausted"
    title = "No further page can be kept live right now"

    @property
    def retry_after_seconds(self) -> int:
        """Another process may have room by then."""
        return RETRY_AFTER_SECONDS
