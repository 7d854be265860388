"""What a request is answered that finds as many under way as a process serves at once."""

from __future__ import annotations

from starlette.types import Message, Receive, Scope, Send

from shared.http.errors import ServiceUnavailable
from shared.http.problems import problem
from shared.http.security_headers import SecurityHeaders
from shared.ids import new_id_text


class Refusal:
    """503 with Retry-After and the headers of every response. No log line: the server writes one for many."""

    def __init__(self, security_headers: SecurityHeaders) -> None:
        self._security_headers = security_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and close the connection."""
        named = (b"x-request-id", new_id_text().encode("ascii"))

        async def send_completed(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._security_headers.completed(message.get("headers", ()), named)
            await send(message)

        await refuse(scope, receive, send_completed)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    """The same for an application without those headers."""
    await problem(ServiceUnavailable(), {"Connection": "close"})(scope, receive, send)
