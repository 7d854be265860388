"""When the requests of an address begin that has used more than its share while others ask."""

from __future__ import annotations

import asyncio
import time

import pytest
from starlette.types import Message

from shared.callers import Caller, CallerLeft
from shared.http import fair_share
from shared.http.client_address import CallerNetworks
from shared.http.fair_share import FairShare, SharedRequest
from shared.runtime.recent_callers import RecentCallers, record_bytes
from tests.support.deadlines import deadline

ONE, OTHER = "192.0.2.1", "192.0.2.2"
SHORT_SECONDS = 0.2
"""From the beginning of one request to that of the next."""


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> FairShare:
    """A second request of an address waits for longer than a test takes, while another asks: which no one does yet."""
    long = deadline(600)
    for name in ("EXPECTED_SECONDS", "RECENT_SECONDS", "LONGEST_REST_SECONDS"):
        monkeypatch.setattr(fair_share, name, long)
    return FairShare(RecentCallers(bytearray(record_bytes(1))), CallerNetworks(None))


@pytest.fixture
def short(share: FairShare, monkeypatch: pytest.MonkeyPatch) -> FairShare:
    """It waits for SHORT_SECONDS."""
    monkeypatch.setattr(fair_share, "EXPECTED_SECONDS", SHORT_SECONDS * fair_share.SHARE)
    monkeypatch.setattr(fair_share, "CREDIT_SECONDS", 0)
    return share


async def nothing() -> None:
    pass


def block() -> None:
    """What keeps the loop from all else."""
    time.sleep(SHORT_SECONDS)


async def ask(share: FairShare, network: str | None) -> None:
    """A request that costs next to nothing."""
    await share.request_of(network).measured(nothing())


async def begins_at_once(request: SharedRequest) -> bool:
    """Whether it begins now. One that would wait leaves the line."""
    begun = asyncio.create_task(request.wait_for_turn())
    await asyncio.sleep(0)
    begun.cancel()
    await asyncio.gather(begun, return_exceptions=True)
    return not begun.cancelled()


async def test_who_asks_alone_waits_for_nothing(share: FairShare) -> None:
    for _ in range(5):
        await ask(share, ONE)
        assert await begins_at_once(share.request_of(ONE))


@pytest.mark.parametrize("other", [OTHER, None])
async def test_while_another_asks_the_second_waits(share: FairShare, other: str | None) -> None:
    await ask(share, other)
    assert await begins_at_once(share.request_of(ONE))
    assert not await begins_at_once(share.request_of(ONE))
    assert await begins_at_once(share.request_of(other)), "it has used nothing"


async def test_a_proxy_that_speaks_for_many_waits_for_nothing(share: FairShare) -> None:
    await ask(share, ONE)
    for _ in range(5):
        assert await begins_at_once(share.request_of(None))


async def test_requests_begin_in_their_order_and_apart(short: FairShare) -> None:
    begun: list[int] = []

    async def begin(number: int) -> None:
        await short.request_of(ONE).wait_for_turn()
        begun.append(number)

    await ask(short, OTHER)
    began_at = time.monotonic()
    await asyncio.gather(*(begin(number) for number in range(4)))
    assert time.monotonic() - began_at >= 3 * SHORT_SECONDS * 0.99  # the loop rounds its time
    assert begun == [0, 1, 2, 3]


async def test_one_that_ends_gives_back_what_it_did_not_cost(share: FairShare) -> None:
    await ask(share, OTHER)
    first = share.request_of(ONE)
    await first.wait_for_turn()
    second = asyncio.create_task(share.request_of(ONE).wait_for_turn())
    await asyncio.sleep(0)
    assert not second.done()
    first.end()
    async with asyncio.timeout(deadline()):
        await second


async def test_what_a_request_uses_is_paid_for_before_the_next(
    share: FairShare, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        block()

    monkeypatch.setattr(fair_share, "EXPECTED_SECONDS", SHORT_SECONDS / 100)
    await ask(share, OTHER)
    await share.request_of(ONE).measured(work())
    used_at = time.monotonic()
    await share.request_of(ONE).wait_for_turn()
    assert time.monotonic() - used_at >= SHORT_SECONDS / fair_share.SHARE - fair_share.CREDIT_SECONDS - 0.01


async def test_what_a_request_does_with_an_error_counts_as_well(
    share: FairShare, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            block()

    monkeypatch.setattr(fair_share, "EXPECTED_SECONDS", SHORT_SECONDS / 100)
    await ask(share, OTHER)
    await share.request_of(ONE).measured(fail())
    assert not await begins_at_once(share.request_of(ONE))


async def test_nothing_is_given_back_that_is_rested_for(share: FairShare, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else many requests that wait for long would each pay for one that comes later."""
    monkeypatch.setattr(fair_share, "CREDIT_SECONDS", 0)
    monkeypatch.setattr(fair_share, "EXPECTED_SECONDS", SHORT_SECONDS * fair_share.SHARE)
    await ask(share, OTHER)
    old = share.request_of(ONE)
    await old.wait_for_turn()
    await share.request_of(ONE).wait_for_turn()  # after SHORT_SECONDS
    old.end()
    assert not await begins_at_once(share.request_of(ONE))


async def test_nothing_is_given_back_that_was_not_charged(share: FairShare, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many that begin while they are alone owe LONGEST_REST_SECONDS together."""
    monkeypatch.setattr(fair_share, "LONGEST_REST_SECONDS", deadline(300))
    requests = [share.request_of(ONE) for _ in range(5)]
    for request in requests:
        await request.wait_for_turn()
    await ask(share, OTHER)
    for request in requests[1:]:
        request.end()
    assert not await begins_at_once(share.request_of(ONE))


async def test_no_one_waits_long_for_what_was_used_before(share: FairShare, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask(share, OTHER)
    monkeypatch.setattr(fair_share, "LONGEST_REST_SECONDS", SHORT_SECONDS)
    assert await begins_at_once(share.request_of(ONE))
    async with asyncio.timeout(deadline()):
        await share.request_of(ONE).wait_for_turn()


async def test_the_line_goes_on_when_the_others_have_gone(share: FairShare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_share, "RECENT_SECONDS", SHORT_SECONDS)
    await ask(share, OTHER)
    asked_at = time.monotonic()
    assert await begins_at_once(share.request_of(ONE))
    async with asyncio.timeout(deadline()):
        await asyncio.gather(*(share.request_of(ONE).wait_for_turn() for _ in range(3)))
    assert time.monotonic() - asked_at >= SHORT_SECONDS * 0.99


async def test_a_request_that_has_begun_is_not_made_to_wait(share: FairShare) -> None:
    async def in_steps() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    await ask(share, OTHER)
    request = share.request_of(ONE)
    await request.wait_for_turn()
    assert not await begins_at_once(share.request_of(ONE))
    async with asyncio.timeout(deadline()):
        await request.measured(in_steps())


async def test_what_is_measured_ends_as_it_would_alone(share: FairShare) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await share.request_of(ONE).measured(fail())

    ended: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("in order")

    async def serve() -> None:
        await share.request_of(ONE).measured(wait())

    served = asyncio.create_task(serve())
    await asyncio.sleep(0)
    served.cancel()
    with pytest.raises(asyncio.CancelledError):
        await served
    assert ended == ["in order"]


async def test_who_hangs_up_loses_the_place(short: FairShare) -> None:
    callers = [Caller() for _ in range(1000)]

    async def begin(caller: Caller) -> None:
        caller.is_served()
        await short.request_of(ONE).wait_for_turn()

    await ask(short, OTHER)
    began_at = time.monotonic()
    await short.request_of(ONE).wait_for_turn()
    waiting = [asyncio.create_task(begin(caller)) for caller in callers]
    await asyncio.sleep(0)
    for caller in callers:
        caller.leave()
    await short.request_of(ONE).wait_for_turn()
    left = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(each) for each in left} == {CallerLeft}
    assert time.monotonic() - began_at < len(callers) * SHORT_SECONDS


async def test_a_body_is_read_to_its_end_in_turn(share: FairShare) -> None:
    """Else many requests begin one after the other, and the last byte of all bodies comes at once."""
    parts: list[Message] = [
        {"type": "http.request", "body": b"1", "more_body": True},
        {"type": "http.request", "body": b"2"},
    ]

    async def receive() -> Message:
        return parts.pop(0)

    async def read() -> Message:
        return await receive_in_turn()

    await ask(share, OTHER)
    receive_in_turn = share.request_of(ONE).receiving(receive)
    assert await begins_at_once(share.request_of(ONE))
    async with asyncio.timeout(deadline()):
        assert (await read())["body"] == b"1"
    last = asyncio.create_task(read())
    await asyncio.sleep(0)
    assert not last.done()
    last.cancel()


async def test_a_caller_who_leaves_while_the_body_waits_has_hung_up(share: FairShare) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"2"}

    async def read(caller: Caller) -> Message:
        caller.is_served()
        return await share.request_of(ONE).receiving(receive)()

    await ask(share, OTHER)
    assert await begins_at_once(share.request_of(ONE))
    caller = Caller()
    last = asyncio.create_task(read(caller))
    await asyncio.sleep(0)
    caller.leave()
    assert await last == {"type": "http.disconnect"}


async def test_a_bounded_number_of_addresses_is_remembered(share: FairShare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_share, "MOST_REMEMBERED", 2)
    one, two, three = (f"192.0.2.{number}" for number in range(3))
    for network in (one, two, one, three):
        await ask(share, network)
        await begins_at_once(share.request_of(network))
    assert len(share) == 2
    assert not await begins_at_once(share.request_of(one))
    assert await begins_at_once(share.request_of(two)), "it asked the longest ago"
