"""Listen to `GET /events` of a real server, as a page does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.deadlines import deadline

OK = 200


@dataclass(frozen=True)
class Heard:
    """One event as it came; a comment is called `comment`."""

    name: str
    data: Any
    id: str = ""


class Listening:
    """An open stream. Nothing that came is lost between two questions."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> Heard | None:
        """The next event or comment, None when the stream ended. TimeoutError when none came."""
        async with asyncio.timeout(deadline()):
            block: list[str] = []
            async for line in self._lines:
                if line:
                    block.append(line)
                elif block:
                    return _read(block)
            return None

    async def until(self, name: str, **expected: Any) -> Heard:
        """The next event of this name whose data hold what is expected; those before it are passed over."""
        async with asyncio.timeout(deadline()):
            while True:
                heard = await self.next()
                assert heard is not None, f"the stream ended before {name} {expected}"
                if heard.name == name and expected.items() <= heard.data.items():
                    return heard


def _read(block: list[str]) -> Heard:
    fields = dict(line.split(":", 1) for line in block)
    if "event" not in fields:
        return Heard("comment", "\n".join(block))
    return Heard(fields["event"].strip(), json.loads(fields["data"]), fields["id"].strip())


@asynccontextmanager
async def listening_to(url: str, token: str, **parameters: str) -> AsyncIterator[Listening]:
    """The stream of the owner who signed in with this token; `last_event_id=` is sent as the header."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    last = parameters.pop("last_event_id", None)
    if last is not None:
        headers["Last-Event-ID"] = last
    async with (
        httpx.AsyncClient(base_url=url, timeout=deadline(), trust_env=False) as client,
        client.stream("GET", "/api/v1/events", headers=headers, params=parameters) as response,
    ):
        assert response.status_code == OK, await response.aread()
        yield Listening(response)
