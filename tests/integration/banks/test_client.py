"""The bank client against a server that does whatever a bank might do to a connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from shared.banks.client import MAX_ANSWER_BYTES, BankClient, which_are_up
from shared.banks.errors import MayHaveBeenSent, NotSent, Refused
from shared.banks.messages import SESSION_NOT_FOUND, TRANSFER_NOT_FOUND, PayoutRequest, SessionRequest
from shared.banks.settings import BankEndpoint
from tests.support.deadlines import ENOUGH_SECONDS, deadline

Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

LATE_SECONDS = 3.0
"""Of a call that is not answered: it has a quarter of them to find a connection, and half to connect."""

PAYOUT = PayoutRequest(
    reference="ref-1", account_number="123456", ifsc="HDFC0000001", account_holder="Asha Rao", amount=10000
)
SESSION = SessionRequest(reference="ref-1", user_id="u1", amount=500, return_url="http://127.0.0.1/back")


def answering(status: int, body: object, *, headers: str = "") -> Script:
    """Answers every request alike."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def script(_: bytes, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n{headers}\r\n"
        writer.write(head.encode() + content)
        await writer.drain()

    return script


async def hang(_: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hang_up(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def hang_up_halfway(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"status":')
    await writer.drain()


async def talk_nonsense(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


async def drip(_: bytes, writer: asyncio.StreamWriter) -> None:
    """Each byte comes in time for a read timeout, the whole never does."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


@asynccontextmanager
async def bank_that(
    script: Script, seen: list[bytes] | None = None, *, timeout_seconds: float = ENOUGH_SECONDS
) -> AsyncIterator[BankClient]:
    """A client of a server that reads one request per connection and then follows the script."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
            if seen is not None:
                seen.append(head + body)
            await script(body, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = client_at(f"http://127.0.0.1:{port}/hdfc", timeout_seconds)
    try:
        yield client
    finally:
        await client.aclose()
        server.close()


def client_at(url: str, timeout_seconds: float = ENOUGH_SECONDS) -> BankClient:
    bank = BankEndpoint(code="hdfc", name="HDFC Bank", url=url, api_key=SecretStr("k3y"))
    return BankClient(bank, deadline(timeout_seconds))


async def test_a_payout_goes_to_the_banks_own_path_with_our_key() -> None:
    seen: list[bytes] = []
    async with bank_that(answering(200, {"status": "SUCCESS", "utr": "U1"}), seen) as client:
        answer = await client.pay(PAYOUT)
    assert (answer.status, answer.utr) == ("SUCCESS", "U1")
    assert seen[0].startswith(b"POST /hdfc/api/transfers HTTP/1.1")
    assert b"x-api-key: k3y" in seen[0].lower()
    assert b'"amount":10000' in seen[0]


async def test_a_refused_connection_was_certainly_not_sent() -> None:
    client = client_at("http://127.0.0.1:1")
    with pytest.raises(NotSent):
        await client.pay(PAYOUT)
    await client.aclose()


async def test_an_unknown_host_name_means_certainly_not_sent() -> None:
    client = client_at("http://bank.invalid")
    with pytest.raises(NotSent):
        await client.pay(PAYOUT)
    await client.aclose()


async def test_no_connection_free_in_time_was_certainly_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.banks.client.MAX_CONNECTIONS", 1)
    arrived = asyncio.Event()

    async def say_so_and_hang(body: bytes, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await hang(body, writer)

    async with bank_that(say_so_and_hang, timeout_seconds=LATE_SECONDS) as client:
        first = asyncio.create_task(client.pay(PAYOUT))
        await arrived.wait()
        with pytest.raises(NotSent):
            await client.pay(PAYOUT)
        with pytest.raises(MayHaveBeenSent):
            await first


@pytest.mark.parametrize("status", [401, 403, 429])
async def test_turned_away_unread_is_not_a_refusal_of_the_payout(status: int) -> None:
    async with bank_that(answering(status, {"code": "NO", "message": "no"})) as client:
        with pytest.raises(NotSent):
            await client.pay(PAYOUT)


async def test_a_bank_that_says_it_is_down_did_nothing() -> None:
    async with bank_that(answering(503, {"code": "BANK_DOWN", "message": "Nothing was done."})) as client:
        with pytest.raises(NotSent):
            await client.pay(PAYOUT)


@pytest.mark.parametrize("script", [hang, hang_up, hang_up_halfway, talk_nonsense, drip])
async def test_anything_that_breaks_after_sending_may_have_been_done(script: Script) -> None:
    async with bank_that(script, timeout_seconds=LATE_SECONDS) as client:
        with pytest.raises(MayHaveBeenSent):
            async with asyncio.timeout(deadline()):
                await client.pay(PAYOUT)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"code": "INTERNAL_ERROR", "message": ""}),
        (503, {"code": "OVERLOADED", "message": ""}),
        (504, b"<html>gateway timeout</html>"),
        (408, {"code": "TIMEOUT", "message": ""}),
        (409, {"code": "REFERENCE_REUSED", "message": ""}),
        (404, b"<html>no such page</html>"),
        (302, b""),
        (200, b"not json"),
        (200, {"status": "PERHAPS"}),
        (200, {"status": "SUCCESS"}),
        (200, {"status": "SUCCESS", "utr": "U1", "reference": "another"}),
        (200, {"status": "SUCCESS", "utr": "U1", "amount": 9999}),
        (200, b" " * (MAX_ANSWER_BYTES + 1)),
    ],
)
async def test_an_answer_that_does_not_say_may_have_been_done(status: int, body: object) -> None:
    async with bank_that(answering(status, body)) as client:
        with pytest.raises(MayHaveBeenSent):
            await client.pay(PAYOUT)


async def test_a_redirect_is_not_followed() -> None:
    seen: list[bytes] = []
    async with bank_that(answering(307, b"", headers="Location: /elsewhere\r\n"), seen) as client:
        with pytest.raises(MayHaveBeenSent):
            await client.pay(PAYOUT)
    assert len(seen) == 1


async def test_a_refusal_is_final_and_in_the_banks_words() -> None:
    async with bank_that(answering(422, {"code": "ACCOUNT_CLOSED", "message": "It is closed."})) as client:
        with pytest.raises(Refused) as refused:
            await client.pay(PAYOUT)
    assert (refused.value.reason, refused.value.detail) == ("ACCOUNT_CLOSED", "It is closed.")


async def test_not_found_needs_the_banks_own_words() -> None:
    async with bank_that(answering(404, {"code": TRANSFER_NOT_FOUND, "message": ""})) as client:
        assert await client.enquire("ref-1") is None
        with pytest.raises(MayHaveBeenSent):
            await client.session_state("tok")
    async with bank_that(answering(404, {"code": SESSION_NOT_FOUND, "message": ""})) as client:
        assert await client.session_state("tok") is None
        with pytest.raises(MayHaveBeenSent):
            await client.enquire("ref-1")


@pytest.mark.parametrize("body", [b"<html>", {"code": "NOT_FOUND"}, {"code": "BANK_NOT_FOUND"}, {"code": "no_route"}])
async def test_a_mis_routed_question_is_no_answer(body: object) -> None:
    async with bank_that(answering(404, body)) as client:
        with pytest.raises(MayHaveBeenSent):
            await client.enquire("ref-1")
        with pytest.raises(MayHaveBeenSent):
            await client.session_state("tok")


async def test_an_enquiry_about_something_else_is_no_answer() -> None:
    async with bank_that(answering(200, {"status": "FAILED", "reference": "ref-2"})) as client:
        with pytest.raises(MayHaveBeenSent):
            await client.enquire("ref-1")
        assert await client.enquire("ref-2") is not None
    state = {"token": "b", "reference": "r", "user_id": "u", "amount": 1, "status": "pending"}
    async with bank_that(answering(200, state)) as client:
        with pytest.raises(MayHaveBeenSent):
            await client.session_state("a")
        found = await client.session_state("b")
    assert found is not None
    assert found.status == "pending"


async def test_a_reference_cannot_leave_its_place_in_the_path() -> None:
    seen: list[bytes] = []
    async with bank_that(answering(200, {"status": "PROCESSING"}), seen) as client:
        await client.enquire("../../faults?x=1")
    assert seen[0].startswith(b"GET /hdfc/api/transfers/..%2F..%2Ffaults%3Fx%3D1 HTTP/1.1")


async def test_a_session_sends_people_to_web_pages_only() -> None:
    async with bank_that(answering(201, {"token": "t", "url": "javascript:alert(1)"})) as client:
        with pytest.raises(MayHaveBeenSent):
            await client.open_session(SESSION)
    async with bank_that(answering(201, {"token": "t", "url": "https://bank.example/t"})) as client:
        assert (await client.open_session(SESSION)).token == "t"


async def test_a_statement_comes_whole_or_not_at_all() -> None:
    item = {
        "at": "2026-01-02T03:04:05.000000Z",
        "direction": "CREDIT",
        "amount": 5,
        "reference": "r",
        "utr": "u",
        "balance_after": 5,
    }
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    seen: list[bytes] = []
    async with bank_that(answering(200, {"items": [item]}), seen) as client:
        (line,) = await client.statement(start, end)
    assert line.amount == 5
    assert b"from=2026-01-01T00%3A00%3A00.000000Z" in seen[0]
    async with bank_that(answering(200, {"items": [item], "next_cursor": "more"})) as client:
        with pytest.raises(MayHaveBeenSent):
            await client.statement(start, end)


async def test_a_ping_says_up_or_not_and_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.banks.client.PING_TIMEOUT_SECONDS", deadline())  # only one of them has a second
    async with bank_that(answering(200, {"status": "up"})) as up, bank_that(hang, timeout_seconds=1) as hanging:
        gone = client_at("http://127.0.0.1:1")
        assert await which_are_up({"a": up, "b": hanging, "c": gone}) == {"a": True, "b": False, "c": False}
        await gone.aclose()
    async with bank_that(answering(503, {"code": "BANK_DOWN"})) as down:
        assert await down.ping() is False


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with bank_that(answering(200, {"status": "PROCESSING"})) as client:
        assert (await client.pay(PAYOUT)).status == "PROCESSING"
