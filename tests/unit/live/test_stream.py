"""A stream ends with its client, its source or after SEND_SECONDS, and is always closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from shared.live import stream
from shared.live.stream import EventStream
from tests.support.deadlines import deadline


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b": x\n\n"
        await asyncio.sleep(0)


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


class Closing:
    """Counts how often the stream was closed."""

    times = 0

    async def __call__(self) -> None:
        self.times += 1


async def test_a_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_SECONDS", 0.05)
    closing = Closing()

    async def stuck(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async with asyncio.timeout(deadline()):
        await EventStream(endless(), closing)({}, never, stuck)
    assert closing.times == 1


async def test_a_client_that_leaves_ends_its_stream() -> None:
    closing = Closing()

    async def left() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        await asyncio.sleep(0)

    async with asyncio.timeout(deadline()):
        await EventStream(endless(), closing)({}, left, send)
    assert closing.times == 1


async def test_the_response_ends_with_its_source_and_raises_its_error() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def one() -> AsyncIterator[bytes]:
        yield b"retry: 1\n\n"

    async def broken() -> AsyncIterator[bytes]:
        yield b"retry: 1\n\n"
        raise ValueError("a defect")

    closing = Closing()
    await EventStream(one(), closing)({}, never, send)
    assert [message.get("more_body") for message in sent] == [None, True, False]
    assert (b"content-length" in dict(sent[0]["headers"]), closing.times) == (False, 1)
    with pytest.raises(ValueError, match="a defect"):
        await EventStream(broken(), closing)({}, never, send)
    assert closing.times == 2
