"""How the HTTP server reads requests: uvicorn with httptools, which sets no limit of its own on headers.

Name it on the command line, `--http shared.http.server:BoundedProtocol`, or in `uvicorn.Config(http=BoundedProtocol)`.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 16 * 1024


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection that sends MAX_HEAD_BYTES without completing a head or adding to a body.

    That covers the request line, headers, trailers, chunk extensions and empty lines, all of which the parser would
    otherwise keep or read without end. The body has a limit of its own, in the application.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._incomplete_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived; answer 400 and close when the limit is reached."""
        self._incomplete_bytes += len(data)
        super().data_received(data)
        if self._incomplete_bytes > MAX_HEAD_BYTES:
            self._refuse()

    def on_headers_complete(self) -> None:
        """Start the request."""
        self._incomplete_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._incomplete_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        self._incomplete_bytes = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.send_400_response("Request header fields too large.")
        else:  # trailers of a request that is being served: a second response would be taken for its answer
            self.transport.close()
