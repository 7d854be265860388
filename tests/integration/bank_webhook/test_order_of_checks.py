"""Each check alone, and which one speaks first. The database behind this webhook does not exist."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from services.bank_webhook.gate import MAX_BODY_BYTES
from services.bank_webhook.main import create_app
from services.bank_webhook.settings import BankWebhookSettings
from shared import clock
from shared.banks.notices import PaymentNotice
from shared.banks.signatures import sign
from tests.support.bank_notices import HDFC_SECRET, SignedRequest, new_webhook_secret, signed, webhook_values
from tests.support.deadlines import deadline
from tests.support.serving import serving

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
OLDER_SECRET = new_webhook_secret()


def webhook_settings(**changes: Any) -> BankWebhookSettings:
    return BankWebhookSettings(**webhook_values(NOWHERE, **changes))


@pytest.fixture(scope="module")
def webhook_url() -> Iterator[str]:
    settings = webhook_settings(bank_hdfc_webhook_secrets=f"{HDFC_SECRET},{OLDER_SECRET}")
    with serving(create_app(settings)) as url:
        yield url


@pytest.fixture
async def webhook(webhook_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=webhook_url, trust_env=False, timeout=deadline()) as client:
        yield client


def a_notice(bank: str = "hdfc", **changes: Any) -> PaymentNotice:
    facts = {"event": "success", "token": "t0k3n", "user_id": "u1", "amount": 100, "bank_reference": None}
    return PaymentNotice(bank=bank, **{**facts, **changes})


async def send(client: httpx.AsyncClient, request: SignedRequest, **headers: str) -> httpx.Response:
    return await client.post(request.path, content=request.body, headers={**request.headers, **headers})


def code_of(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["code"])


async def test_an_authentic_notice_reaches_the_database_which_is_away(webhook: httpx.AsyncClient) -> None:
    """The counterpart of all others here: only an authentic one gets as far as asking for a connection."""
    response = await send(webhook, signed(a_notice()))
    assert (response.status_code, code_of(response)) == (503, "not_committed")
    assert int(response.headers["retry-after"]) >= 1
    assert (await send(webhook, signed(a_notice("axis")))).status_code == 503


async def test_it_is_up_and_says_that_it_is_not_ready(webhook: httpx.AsyncClient) -> None:
    assert (await webhook.get("/healthz")).json() == {"status": "ok"}
    ready = await webhook.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (503, {"postgres": "failed", "schema": "failed"})
    assert (await webhook.get("/metrics")).status_code == 404


async def test_an_unknown_bank_is_not_found(webhook: httpx.AsyncClient) -> None:
    response = await webhook.post("/webhooks/sbi", content=b"{}", headers=signed(a_notice()).headers)
    assert (response.status_code, code_of(response)) == (404, "bank_not_found")


async def test_another_method_is_not_allowed(webhook: httpx.AsyncClient) -> None:
    assert (await webhook.get("/webhooks/hdfc")).status_code == 405


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
async def test_a_body_that_is_not_json_is_refused(webhook: httpx.AsyncClient, content_type: str) -> None:
    response = await send(webhook, signed(a_notice()), **{"content-type": content_type})
    assert (response.status_code, code_of(response)) == (415, "unsupported_media_type")


async def test_json_with_a_charset_is_json(webhook: httpx.AsyncClient) -> None:
    response = await send(webhook, signed(a_notice()), **{"content-type": "Application/JSON; charset=utf-8"})
    assert response.status_code == 503


async def test_a_large_body_is_refused_before_its_signature_is_looked_at(webhook: httpx.AsyncClient) -> None:
    response = await webhook.post(
        "/webhooks/hdfc", content=b"x" * (MAX_BODY_BYTES + 1), headers={"content-type": "application/json"}
    )
    assert (response.status_code, code_of(response)) == (413, "body_too_large")
    exactly = await webhook.post(
        "/webhooks/hdfc", content=b"x" * MAX_BODY_BYTES, headers={"content-type": "application/json"}
    )
    assert exactly.status_code == 401


async def test_a_large_body_without_a_length_is_refused_while_it_is_read(webhook: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 4096

    response = await webhook.post("/webhooks/hdfc", content=endless(), headers={"content-type": "application/json"})
    assert (response.status_code, code_of(response)) == (413, "body_too_large")


async def raw_exchange(url: str, request: bytes, *, until_closed: bool = False) -> bytes:
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    async with asyncio.timeout(deadline()):
        answer = await reader.readuntil(b"\r\n")
        if until_closed:
            await reader.read()
    writer.close()
    return answer


async def test_a_length_that_promises_too_much_is_refused_unread(webhook_url: str) -> None:
    head = (
        b"POST /webhooks/hdfc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\n\r\n"
    )
    assert b" 413 " in await raw_exchange(webhook_url, head)


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever() -> None:
    head = b"POST /webhooks/hdfc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{}"
    with serving(create_app(webhook_settings(webhook_body_seconds=deadline(1)))) as url:
        assert b" 408 " in await raw_exchange(url, head, until_closed=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-id": ""},
        {"webhook-id": "another"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "yesterday"},
        {"webhook-timestamp": "1"},
    ],
)
async def test_a_header_that_is_not_the_signed_one_is_refused(
    webhook: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    response = await send(webhook, signed(a_notice()), **headers)
    assert (response.status_code, code_of(response)) == (401, "signature_invalid")
    assert response.headers["www-authenticate"] == "Webhook-Signature"


async def test_no_headers_at_all_are_refused(webhook: httpx.AsyncClient) -> None:
    assert (await webhook.post("/webhooks/hdfc", json={})).status_code == 401


async def test_a_changed_body_or_a_strangers_or_another_banks_secret_is_refused(webhook: httpx.AsyncClient) -> None:
    request = signed(a_notice())
    changed = await webhook.post(request.path, content=request.body + b" ", headers=request.headers)
    assert changed.status_code == 401
    assert (await send(webhook, signed(a_notice(), secret=new_webhook_secret()))).status_code == 401
    of_axis = signed(a_notice("axis"))
    crossed = await webhook.post("/webhooks/hdfc", content=of_axis.body, headers=of_axis.headers)
    assert crossed.status_code == 401


async def test_during_a_rotation_both_secrets_are_good(webhook: httpx.AsyncClient) -> None:
    assert (await send(webhook, signed(a_notice(), secret=OLDER_SECRET))).status_code == 503
    assert (await send(webhook, signed(a_notice(), secret=HDFC_SECRET))).status_code == 503
    assert (await send(webhook, signed(a_notice("axis"), secret=OLDER_SECRET))).status_code == 401


@pytest.mark.parametrize(("minutes", "status"), [(-6, 401), (-4, 503), (4, 503), (6, 401)])
async def test_a_timestamp_is_good_for_five_minutes(webhook: httpx.AsyncClient, minutes: int, status: int) -> None:
    replayed = signed(a_notice(), at=clock.now() + timedelta(minutes=minutes))
    assert (await send(webhook, replayed)).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"event": "payment.success"}',
        b'{"event": "payment.success", "token": "t", "user_id": "u", "amount": 1.5}',
        b'{"event": "payment.success", "token": "t", "user_id": "u", "amount": "100"}',
        b'{"event": "payment.success", "token": "t", "user_id": "u", "amount": 0}',
        b'{"event": "payment.success", "token": "t\\u0000", "user_id": "u", "amount": 100}',
        b'{"event": "payment.success", "token": "t", "user_id": "u", "amount": ' + b"9" * 400 + b"}",
        b'{"event": "payment.pending", "token": "t", "user_id": "u", "amount": 100}',
        b"[" * 30000,
    ],
)
async def test_signed_but_not_in_the_banks_format_is_refused(webhook: httpx.AsyncClient, body: bytes) -> None:
    headers = sign_bytes(body)
    response = await webhook.post("/webhooks/hdfc", content=body, headers=headers)
    assert (response.status_code, code_of(response)) == (400, "notice_unreadable")


def sign_bytes(body: bytes) -> dict[str, str]:
    return {**sign(HDFC_SECRET, "msg_raw", clock.now(), body), "content-type": "application/json"}


async def test_a_signed_body_that_is_not_utf8_is_refused(webhook: httpx.AsyncClient) -> None:
    headers = {**signed(a_notice()).headers}
    assert (await webhook.post("/webhooks/hdfc", content=b"\xff\xfe", headers=headers)).status_code == 401


async def test_the_address_is_checked_before_everything_else() -> None:
    elsewhere = webhook_settings(bank_hdfc_webhook_networks="203.0.113.0/24")
    with serving(create_app(elsewhere)) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            for content, headers in (
                (b"x" * (MAX_BODY_BYTES + 1), {}),
                (b"{}", {"content-type": "text/plain"}),
                (signed(a_notice()).body, signed(a_notice()).headers),
            ):
                response = await client.post("/webhooks/hdfc", content=content, headers=headers)
                assert (response.status_code, code_of(response)) == (403, "source_not_allowed")
            spoofed = await send(client, signed(a_notice()), **{"x-forwarded-for": "203.0.113.7"})
            assert spoofed.status_code == 403
            assert (await send(client, signed(a_notice("axis")))).status_code == 503


async def test_behind_a_trusted_proxy_the_bank_is_whom_the_proxy_names() -> None:
    proxied = webhook_settings(bank_hdfc_webhook_networks="203.0.113.0/24", trusted_proxies="127.0.0.1/32,10.0.0.0/8")
    with serving(create_app(proxied)) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            for forwarded_for, status in (
                ("203.0.113.7", 503),
                ("203.0.113.7:4711", 503),
                ('"203.0.113.7", 127.0.0.1', 503),
                ("198.51.100.1, 203.0.113.7, 10.2.3.4", 503),
                ("203.0.113.7, 198.51.100.1", 403),
                ("203.0.113.7, nonsense", 403),
                ("198.51.100.1", 403),
            ):
                response = await send(client, signed(a_notice()), **{"x-forwarded-for": forwarded_for})
                assert response.status_code == status, forwarded_for
            assert (await send(client, signed(a_notice()))).status_code == 403
            other = await send(client, signed(a_notice()), forwarded="for=203.0.113.7")
            assert other.status_code == 403, "only the header that the setting names is believed"


async def test_a_refusal_is_counted_and_logged_without_what_was_sent(
    webhook: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    def count() -> float:
        labels = {"bank": "hdfc", "code": "signature_invalid"}
        return REGISTRY.get_sample_value("batua_webhook_refused_total", labels) or 0

    before = count()
    with caplog.at_level(logging.DEBUG):
        request = signed(a_notice(token="SECRETTOKEN"), secret=new_webhook_secret())
        await send(webhook, request)
        await send(webhook, signed(a_notice(token="SECRETTOKEN")))
    assert count() == before + 1
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("services", "shared", "batua"))]
    assert ours
    assert not any("SECRETTOKEN" in line or base64.b64encode(b"SECRETTOKEN").decode() in line for line in ours)


def test_a_secret_that_cannot_verify_anything_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        webhook_settings(bank_axis_webhook_secrets="not-a-secret")
