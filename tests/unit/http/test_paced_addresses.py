"""When the requests of an address begin that was refused one too many."""

from __future__ import annotations

import asyncio
import time

import pytest

from shared.callers import Caller, CallerLeft
from shared.http import paced_addresses
from shared.http.paced_addresses import Asked, PacedAddresses
from tests.support.deadlines import deadline

SIGN_IN = Asked("192.0.2.1", "POST", "/api/v1/auth/login")
SHORT_PACE = 0.2
"""Seconds from one request to the next."""


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> PacedAddresses:
    """A second request waits for longer than a test takes."""
    monkeypatch.setattr(paced_addresses, "REMEMBERED_SECONDS", deadline(600))
    return PacedAddresses(deadline(600) / paced_addresses.PACE)


@pytest.fixture
def shortly_paced(monkeypatch: pytest.MonkeyPatch) -> PacedAddresses:
    monkeypatch.setattr(paced_addresses, "REMEMBERED_SECONDS", deadline(600))
    return PacedAddresses(SHORT_PACE / paced_addresses.PACE)


async def begins_at_once(paced: PacedAddresses, asked: Asked) -> bool:
    """Whether a request begins now. One that would wait leaves the line."""
    begun = asyncio.create_task(paced.wait(asked))
    await asyncio.sleep(0)
    begun.cancel()
    await asyncio.gather(begun, return_exceptions=True)
    return not begun.cancelled()


async def test_after_a_refusal_requests_begin_one_after_the_other(shortly_paced: PacedAddresses) -> None:
    begun: list[int] = []

    async def ask(number: int) -> None:
        await shortly_paced.wait(SIGN_IN)
        begun.append(number)

    shortly_paced.slow_down(SIGN_IN)
    began_at = time.monotonic()
    await asyncio.gather(*(ask(number) for number in range(4)))
    assert time.monotonic() - began_at >= 3 * SHORT_PACE * 0.99  # the loop rounds its time
    assert begun == [0, 1, 2, 3]


async def test_a_further_refusal_does_not_begin_the_pace_anew(paced: PacedAddresses) -> None:
    paced.slow_down(SIGN_IN)
    assert await begins_at_once(paced, SIGN_IN)
    paced.slow_down(SIGN_IN)
    assert not await begins_at_once(paced, SIGN_IN)


@pytest.mark.parametrize(
    "other",
    [
        SIGN_IN._replace(network="192.0.2.2"),
        SIGN_IN._replace(method="GET"),
        SIGN_IN._replace(path="/api/v1/auth/pin"),
    ],
)
async def test_nothing_else_is_paced(paced: PacedAddresses, other: Asked) -> None:
    paced.slow_down(SIGN_IN)
    for _ in range(3):
        assert await begins_at_once(paced, other)


async def test_the_pace_is_forgotten_a_while_after_the_last_refusal(
    paced: PacedAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced.slow_down(SIGN_IN)
    assert await begins_at_once(paced, SIGN_IN)
    assert paced
    monkeypatch.setattr(paced_addresses, "REMEMBERED_SECONDS", 0)
    paced.slow_down(SIGN_IN)
    assert await begins_at_once(paced, SIGN_IN)
    assert not paced


async def test_who_hangs_up_loses_the_place(shortly_paced: PacedAddresses) -> None:
    callers = [Caller() for _ in range(1000)]

    async def ask(caller: Caller) -> None:
        caller.is_served()
        await shortly_paced.wait(SIGN_IN)

    shortly_paced.slow_down(SIGN_IN)
    await shortly_paced.wait(SIGN_IN)
    began_at = time.monotonic()
    waiting = [asyncio.create_task(ask(caller)) for caller in callers]
    await asyncio.sleep(0)
    for caller in callers:
        caller.leave()
    await shortly_paced.wait(SIGN_IN)
    left = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(each) for each in left} == {CallerLeft}
    assert time.monotonic() - began_at < len(callers) * SHORT_PACE


async def test_a_line_that_all_have_left_lets_the_next_ones_in(shortly_paced: PacedAddresses) -> None:
    shortly_paced.slow_down(SIGN_IN)
    for _ in range(3):
        await begins_at_once(shortly_paced, SIGN_IN)
    await asyncio.sleep(2 * SHORT_PACE)
    async with asyncio.timeout(deadline()):
        for _ in range(3):
            await shortly_paced.wait(SIGN_IN)


async def test_a_bounded_number_of_lines_is_remembered(paced: PacedAddresses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paced_addresses, "MOST_REMEMBERED", 2)
    one, two, three = (SIGN_IN._replace(network=f"192.0.2.{number}") for number in range(3))
    for asked in (one, two, one, three):
        paced.slow_down(asked)
    assert len(paced) == 2
    for asked in (one, two):
        assert await begins_at_once(paced, asked)
    assert await begins_at_once(paced, two), "it was refused the longest ago"
    assert not await begins_at_once(paced, one)


async def test_without_a_delay_of_refusals_there_is_no_pace() -> None:
    paced = PacedAddresses(0)
    paced.slow_down(SIGN_IN)
    assert not paced
