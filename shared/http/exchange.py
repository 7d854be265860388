"""One request and its response, each in one piece, past the messages of ASGI. Only our own server offers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

EXTENSION = "batua.exchange"
"""Under this name the server hands an application the exchange, among the extensions of an ASGI scope."""


class Exchange(Protocol):
    """What the server holds of one request. An application that leaves it alone is served by the messages as ever."""

    def whole_body(self) -> bytes | None:
        """The body, when all of it has arrived; None before. It can still be received afterwards."""

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Send a whole response; False when that must be done by messages. Names are in lower case, Content-Length is
        among them, and none says how the connection goes on.
        """
