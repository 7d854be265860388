"""What is told to stop says so first: at once, or for a while before the server hears of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from shared.termination import delay_termination, on_termination
from tests.support.waiting import eventually_async

NUMBERS = [signal.SIGTERM, signal.SIGINT]


class Server:
    """Its handler notes the signals that reach it."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def handle(self, number: int, _: FrameType | None) -> None:
        self.said.append(f"stop {number}")

    async def has_said(self, *words: str) -> None:
        async def ask() -> bool:
            return self.said == list(words)

        await eventually_async(ask, str(words))


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    before = {number: signal.signal(number, server.handle) for number in NUMBERS}
    yield server
    assert {signal.getsignal(number) for number in NUMBERS} == {server.handle}, "its handlers are back"
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
async def test_streams_are_told_with_the_server(server: Server, number: signal.Signals) -> None:
    with on_termination(lambda: server.said.append("streams")):
        signal.raise_signal(number)
        await server.has_said(f"stop {number}", "streams")


@pytest.mark.parametrize("number", NUMBERS)
async def test_the_announcement_comes_first_and_the_stop_later(server: Server, number: signal.Signals) -> None:
    with (
        on_termination(lambda: server.said.append("streams")),
        delay_termination(0.2, lambda: server.said.append("soon")),
    ):
        signal.raise_signal(number)
        await server.has_said("soon")
        await server.has_said("soon", f"stop {number}", "streams")


async def test_a_second_signal_ends_the_delay(server: Server) -> None:
    with delay_termination(3600, lambda: server.said.append("soon")):
        signal.raise_signal(signal.SIGTERM)
        await server.has_said("soon")
        signal.raise_signal(signal.SIGINT)
        assert server.said == ["soon", f"stop {signal.SIGINT}"]


async def test_without_a_delay_nothing_is_announced(server: Server) -> None:
    with delay_termination(0, lambda: server.said.append("soon")):
        signal.raise_signal(signal.SIGTERM)
        assert server.said == [f"stop {signal.SIGTERM}"]
        await asyncio.sleep(0)
        assert server.said == [f"stop {signal.SIGTERM}"]
