"""Each check of the gate alone, which one speaks first, and what of a rejection is counted and logged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import combinations
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.types import Message

from services.bank_webhook.errors import BankNotFound, BodyIncomplete, SourceNotAllowed
from services.bank_webhook.gate import MAX_BODY_BYTES, Delivery, Gate
from services.bank_webhook.settings import BankWebhookSettings
from shared import clock
from shared.banks.notices import NoticeUnreadable, PaymentNotice
from shared.banks.signatures import SignatureInvalid, sign
from shared.errors import BatuaError
from shared.http.body_limit import UnreadBody
from shared.http.errors import BodyTooLarge, BodyTooSlow, JsonRequired
from tests.support.bank_notices import HDFC_SECRET, SECRETS, new_webhook_secret, signed, webhook_values

BANK = "192.0.2.7"
PROXY = "10.0.0.1"
STRANGER = "203.0.113.9"
NOTICE = PaymentNotice("hdfc", "success", "t0k3n", "u1", 100, None)
LARGEST = b"x" * MAX_BODY_BYTES


def gate(**changes: Any) -> Gate:
    """It accepts both banks from 192.0.2.0/24."""
    networks = {f"bank_{code}_webhook_networks": "192.0.2.0/24" for code in SECRETS}
    return Gate(BankWebhookSettings(**webhook_values("postgresql://nowhere/none", **{**networks, **changes})))


def call(
    body: bytes | Sequence[bytes | Exception] = b"",
    headers: dict[str, str] | None = None,
    *,
    client: tuple[str, int] | None = (BANK, 4711),
    is_broken: bool = False,
) -> Request:
    """A call whose body arrives in these pieces; with `is_broken` the connection ends before the last of them."""
    pieces: list[bytes | Exception] = [body] if isinstance(body, bytes) else list(body)
    messages: Iterator[Message | Exception] = iter(
        [
            each if isinstance(each, Exception) else {"type": "http.request", "body": each, "more_body": more}
            for each, more in zip(pieces, [True] * (len(pieces) - 1) + [is_broken], strict=True)
        ]
    )

    async def receive() -> Message:
        message = next(messages, {"type": "http.disconnect"})
        if isinstance(message, Exception):
            raise message
        return message

    given = {"content-type": "application/json", **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    scope = {"type": "http", "method": "POST", "path": "/webhooks/hdfc", "headers": raw, "client": client}
    return Request(scope, receive)


def authentic(notice: PaymentNotice = NOTICE, **more: Any) -> Request:
    request = signed(notice, webhook_id="msg_1", **more)
    return call(request.body, request.headers)


async def refusal(bank: str, request: Request, at: Gate | None = None) -> BatuaError:
    with pytest.raises(BatuaError) as raised:
        await (at or gate()).admit(bank, request)
    return raised.value


async def test_an_authentic_notice_is_admitted_with_its_id() -> None:
    assert await gate().admit("hdfc", authentic()) == Delivery("msg_1", NOTICE)
    of_axis = PaymentNotice("axis", "success", "t0k3n", "u1", 100, None)
    assert await gate().admit("axis", authentic(of_axis)) == Delivery("msg_1", of_axis)


async def test_a_body_may_come_in_pieces() -> None:
    request = signed(NOTICE, webhook_id="msg_1")
    pieces = [request.body[:5], b"", request.body[5:20], request.body[20:]]
    assert await gate().admit("hdfc", call(pieces, request.headers)) == Delivery("msg_1", NOTICE)


async def test_an_unknown_bank_is_not_found() -> None:
    assert isinstance(await refusal("sbi", authentic()), BankNotFound)


@pytest.mark.parametrize("client", [(STRANGER, 1), None], ids=["another network", "no network"])
async def test_a_call_from_elsewhere_is_refused(client: tuple[str, int] | None) -> None:
    request = signed(NOTICE)
    assert isinstance(await refusal("hdfc", call(request.body, request.headers, client=client)), SourceNotAllowed)


async def test_each_bank_has_its_own_networks_and_secrets() -> None:
    only_axis = gate(bank_hdfc_webhook_networks="198.51.100.0/24")
    assert isinstance(await refusal("hdfc", authentic(), only_axis), SourceNotAllowed)
    of_axis = PaymentNotice("axis", "success", "t0k3n", "u1", 100, None)
    assert (await only_axis.admit("axis", authentic(of_axis))).notice == of_axis
    assert isinstance(await refusal("hdfc", authentic(of_axis)), SignatureInvalid)


async def test_behind_a_trusted_proxy_the_caller_is_whom_it_names() -> None:
    proxied, request = gate(trusted_proxies=f"{PROXY}/32"), signed(NOTICE, webhook_id="msg_1")

    def named(*, by: str, **header: str) -> Request:
        return call(request.body, {**request.headers, **header}, client=(by, 1))

    assert (await proxied.admit("hdfc", named(by=PROXY, **{"x-forwarded-for": BANK}))).webhook_id == "msg_1"
    for refused in (
        named(by=PROXY, **{"x-forwarded-for": STRANGER}),
        named(by=PROXY),
        named(by=STRANGER, **{"x-forwarded-for": BANK}),
    ):
        assert isinstance(await refusal("hdfc", refused, proxied), SourceNotAllowed)
    same_network = gate(trusted_proxies=f"{BANK}/32")
    assert isinstance(await refusal("hdfc", named(by=BANK, **{"x-forwarded-for": "?"}), same_network), SourceNotAllowed)


@pytest.mark.parametrize("announced", [str(MAX_BODY_BYTES + 1), "9" * 5000])
async def test_a_length_that_is_too_large_is_refused_unread(announced: str) -> None:
    request = call([AssertionError("it was read")], {"content-length": announced})
    error = await refusal("hdfc", request)
    assert isinstance(error, BodyTooLarge)
    assert error.limit_bytes == MAX_BODY_BYTES


@pytest.mark.parametrize("announced", [str(MAX_BODY_BYTES), "0" * 25, "-70000", "70000.0", "", "x"])
async def test_another_length_leaves_it_to_the_body(announced: str) -> None:
    request = signed(NOTICE, webhook_id="msg_1")
    admitted = await gate().admit("hdfc", call(request.body, {**request.headers, "content-length": announced}))
    assert admitted.webhook_id == "msg_1"


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", " application/json ;x;y"]
)
async def test_json_is_json_with_parameters_and_in_capitals(content_type: str) -> None:
    request = signed(NOTICE, webhook_id="msg_1")
    headers = {**request.headers, "content-type": content_type}
    assert (await gate().admit("hdfc", call(request.body, headers))).webhook_id == "msg_1"


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/jsonp", "text/plain; application/json"])
async def test_another_type_is_refused(content_type: str) -> None:
    request = signed(NOTICE)
    headers = {**request.headers, "content-type": content_type}
    assert isinstance(await refusal("hdfc", call(request.body, headers)), JsonRequired)


async def test_no_type_is_refused() -> None:
    request = authentic()
    request.scope["headers"] = [each for each in request.scope["headers"] if each[0] != b"content-type"]
    assert isinstance(await refusal("hdfc", request), JsonRequired)


async def test_a_body_without_a_length_may_be_as_large_as_allowed_and_no_larger() -> None:
    assert isinstance(await refusal("hdfc", call([LARGEST[:9], LARGEST[9:]])), SignatureInvalid)
    error = await refusal("hdfc", call([LARGEST, b"x", AssertionError("it was read on")]))
    assert isinstance(error, BodyTooLarge)
    assert error.limit_bytes == MAX_BODY_BYTES


async def test_a_body_that_breaks_off_is_incomplete() -> None:
    request = signed(NOTICE)
    assert isinstance(await refusal("hdfc", call(request.body, request.headers, is_broken=True)), BodyIncomplete)


async def test_what_ends_the_read_is_what_is_answered() -> None:
    slow = BodyTooSlow(10.0)
    assert await refusal("hdfc", call([b"{", UnreadBody(slow)])) is slow


async def test_every_secret_of_the_bank_verifies_and_no_other() -> None:
    older = new_webhook_secret()
    rotating = gate(bank_hdfc_webhook_secrets=f"{HDFC_SECRET},{older}")
    for secret in (HDFC_SECRET, older):
        assert (await rotating.admit("hdfc", authentic(secret=secret))).notice == NOTICE
    assert isinstance(await refusal("hdfc", authentic(secret=new_webhook_secret()), rotating), SignatureInvalid)
    assert isinstance(await refusal("hdfc", authentic(secret=older)), SignatureInvalid)


@pytest.mark.parametrize(("away", "is_good"), [(-121, False), (-119, True), (119, True), (121, False)])
async def test_a_timestamp_is_good_as_long_as_the_setting_says(away: int, is_good: bool) -> None:
    now, hasty = clock.now().replace(microsecond=0), gate(webhook_tolerance_seconds=120)
    request = authentic(at=now + timedelta(seconds=away))
    with clock.reading(lambda: now):
        if is_good:
            assert (await hasty.admit("hdfc", request)).notice == NOTICE
        else:
            assert isinstance(await refusal("hdfc", request, hasty), SignatureInvalid)


async def test_a_body_that_was_changed_is_refused() -> None:
    request = signed(NOTICE)
    assert isinstance(await refusal("hdfc", call(request.body + b" ", request.headers)), SignatureInvalid)
    assert isinstance(await refusal("hdfc", call(request.body)), SignatureInvalid)


async def test_signed_and_not_in_the_banks_format_is_refused() -> None:
    body = b'{"event": "payment.pending"}'
    headers = sign(HDFC_SECRET, "msg_1", clock.now(), body)
    assert isinstance(await refusal("hdfc", call(body, headers)), NoticeUnreadable)


_FAULTS: dict[type[BatuaError], dict[str, Any]] = {
    SourceNotAllowed: {"client": (STRANGER, 1)},
    BodyTooLarge: {"content-length": str(MAX_BODY_BYTES + 1)},
    JsonRequired: {"content-type": "text/plain"},
    BodyIncomplete: {"is_broken": True},
    SignatureInvalid: {"webhook-signature": "v1,AAAA"},
    NoticeUnreadable: {"body": b"{}"},
}
"""What is wrong with a call, in the order in which it is said."""


@pytest.mark.parametrize(("first", "second"), [*combinations(_FAULTS, 2)])
async def test_of_two_faults_the_first_in_order_is_said(first: type[BatuaError], second: type[BatuaError]) -> None:
    wrong = _FAULTS[second] | _FAULTS[first]
    body = wrong.get("body", signed(NOTICE).body)
    headers = sign(HDFC_SECRET, "msg_1", clock.now(), body) | {
        name: wrong[name] for name in ("content-length", "content-type", "webhook-signature") if name in wrong
    }
    request = call(body, headers, client=wrong.get("client", (BANK, 1)), is_broken=wrong.get("is_broken", False))
    assert type(await refusal("hdfc", request)) is first
    if first is SourceNotAllowed:
        assert type(await refusal("sbi", request)) is BankNotFound


def counted(bank: str, code: str) -> float:
    return REGISTRY.get_sample_value("batua_webhook_refused_total", {"bank": bank, "code": code}) or 0


@pytest.mark.parametrize(
    ("bank", "client", "says"),
    [
        ("sbi", (BANK, 1), ("unknown", BANK, "bank_not_found")),
        ("sbi", None, ("unknown", "unknown", "bank_not_found")),
        ("hdfc", (STRANGER, 1), ("hdfc", STRANGER, "source_not_allowed")),
        ("hdfc", None, ("hdfc", "unknown", "source_not_allowed")),
        ("axis", (BANK, 1), ("axis", BANK, "signature_invalid")),
    ],
)
async def test_a_rejection_is_counted_and_logged_by_bank_source_and_reason(
    bank: str, client: tuple[str, int] | None, says: tuple[str, str, str], caplog: pytest.LogCaptureFixture
) -> None:
    as_bank, source, code = says
    before, request = counted(as_bank, code), signed(NOTICE)
    await refusal(bank, call(request.body, request.headers, client=client))
    assert counted(as_bank, code) == before + 1
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("services.bank_webhook")]
    assert line == f"webhook call for {as_bank} from {source} rejected: {code}"


async def test_of_a_proxy_that_names_no_one_the_proxy_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    request = signed(NOTICE)
    told = call(request.body, {**request.headers, "x-forwarded-for": "?"}, client=(PROXY, 1))
    await refusal("hdfc", told, gate(trusted_proxies=f"{PROXY}/32"))
    assert f"from {PROXY} rejected: source_not_allowed" in caplog.text


async def test_what_is_admitted_is_counted_as_no_rejection(caplog: pytest.LogCaptureFixture) -> None:
    await gate().admit("hdfc", authentic())
    assert not [record for record in caplog.records if record.name.startswith("services.bank_webhook")]
