"""A stream ends with its client, its source or after SEND_SECONDS, and is always closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from shared.live import stream
from shared.live.stream import MAX_PAUSE_SECONDS, PAUSE_SECONDS, EventStream, pause_seconds
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


@pytest.mark.parametrize(
    ("reading_seconds", "streams", "share"),
    [(0.001, 1, 0.01), (0.005, 1, 0.05), (0.010, 1, 0.05), (0.010, 8, 0.05), (0.001, 8, 0.01)],
)
def test_the_streams_of_an_owner_read_for_a_twentieth_of_the_time(
    reading_seconds: float, streams: int, share: float
) -> None:
    pause = pause_seconds(reading_seconds, streams)
    assert pause >= PAUSE_SECONDS * streams
    assert streams * reading_seconds / pause <= share + 1e-9


def test_a_reading_that_waited_for_the_database_delays_the_next_event_little() -> None:
    assert pause_seconds(10.0, 8) == MAX_PAUSE_SECONDS
