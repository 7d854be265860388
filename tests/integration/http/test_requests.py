"""What every service does with a request: its id, its limits, its errors."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Request
from prometheus_client import generate_latest
from pydantic import SecretStr
from sqlalchemy import text

from shared.http import outage_log
from shared.http.application import BODY_LIMIT_BYTES
from shared.http.dependencies import CurrentResources, IdempotencyKey
from shared.http.fields import Body, Name, Paise
from shared.http.pagination import PageQuery
from shared.runtime.logs import request_id
from shared.runtime.resources import AccountSettings
from tests.support.deadlines import deadline
from tests.support.small_service import running


class Order(Body):
    name: Name
    amount: Paise


def make_router() -> APIRouter:
    router = APIRouter()

    @router.post("/orders")
    async def order(body: Order) -> str:
        return body.name

    @router.post("/keyed")
    async def keyed(key: IdempotencyKey) -> str:
        return key

    @router.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @router.get("/orders")
    async def listed(page: PageQuery) -> int:
        return page.after_number() or page.limit

    @router.get("/orders/{order_id}")
    async def one(order_id: UUID) -> str | None:
        return request_id.get()

    @router.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError("a secret")

    @router.get("/slow")
    async def slow(resources: CurrentResources) -> None:
        await resources.read(lambda session: session.execute(text("SELECT pg_sleep(30)")))

    @router.get("/database")
    async def database(resources: CurrentResources) -> None:
        await resources.read(lambda session: session.execute(text("SELECT 1")))

    return router


@pytest.fixture
async def client(settings: AccountSettings) -> AsyncIterator[httpx.AsyncClient]:
    quick = settings.model_copy(update={"database_statement_timeout_seconds": deadline(0.5)})
    async with running(quick, make_router()) as made:
        yield made


def is_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body.keys() >= {"type", "title", "status", "detail", "code"}
    assert (body["status"], body["code"]) == (status, code)
    assert response.headers["x-request-id"]


GOOD = {"name": "chai", "amount": 1}
JSON = {"content-type": "application/json"}


async def test_a_request_id_of_the_caller_is_repeated_in_the_response(client: httpx.AsyncClient) -> None:
    path = f"/orders/{UUID(int=1)}"
    response = await client.get(path, headers={"X-Request-Id": "from-the-caller"})
    assert response.headers["x-request-id"] == response.json() == "from-the-caller"


@pytest.mark.parametrize("bad", ["", "two words", "x" * 129, "tab\t"])
async def test_an_unusable_request_id_is_replaced(client: httpx.AsyncClient, bad: str) -> None:
    response = await client.get("/orders", headers={"X-Request-Id": bad})
    assert UUID(response.headers["x-request-id"]).version == 7


@pytest.mark.parametrize(
    "content",
    [b"{", b"", b"\xff\xfe", b"[" * 50_000, b'{"amount": ' + b"9" * 5000 + b"}", b"nope"],
)
async def test_a_body_that_is_not_json_is_a_400_or_422(client: httpx.AsyncClient, content: bytes) -> None:
    response = await client.post("/orders", content=content, headers=JSON)
    if content:
        is_problem(response, 400, "malformed_json")
    else:
        is_problem(response, 422, "invalid_request")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "chai"}, "amount"),
        (GOOD | {"more": 1}, "more"),
        (GOOD | {"more\ud800": 1}, "body"),
        (GOOD | {"name": "a\x00b"}, "name"),
        (GOOD | {"name": "a\ud800b"}, "name"),
        (GOOD | {"name": None}, "name"),
        (GOOD | {"amount": 10**30}, "amount"),
        (GOOD | {"amount": "1"}, "amount"),
        (GOOD | {"amount": 1.5}, "amount"),
        (GOOD | {"amount": True}, "amount"),
        ([], "body"),
        (None, "body"),
        ("text", "body"),
    ],
)
async def test_an_invalid_field_is_named(client: httpx.AsyncClient, body: object, field: str) -> None:
    response = await client.post("/orders", content=json.dumps(body), headers=JSON)
    is_problem(response, 422, "invalid_request")
    assert [each["field"] for each in response.json()["errors"]] == [field]
    assert all(each["message"] for each in response.json()["errors"])


async def test_an_invalid_secret_is_not_repeated(client: httpx.AsyncClient) -> None:
    response = await client.post("/orders", json=GOOD | {"name": "hush\x00hush"})
    assert "hush" not in response.text


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_must_say_that_it_is_json(client: httpx.AsyncClient, media_type: str) -> None:
    response = await client.post("/orders", content=json.dumps(GOOD), headers={"content-type": media_type})
    is_problem(response, 415, "unsupported_media_type")


async def test_json_with_a_charset_is_accepted(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert (await client.post("/orders", content=json.dumps(GOOD), headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/orders", "/raw"])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_large_body_is_rejected_with_or_without_content_length(
    client: httpx.AsyncClient, path: str, announced: bool
) -> None:
    whole = json.dumps(GOOD | {"name": "x" * BODY_LIMIT_BYTES}).encode()

    async def streamed() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), 4096):
            yield whole[start : start + 4096]

    response = await client.post(path, content=whole if announced else streamed(), headers=JSON)
    is_problem(response, 413, "body_too_large")
    assert response.json()["limit_bytes"] == BODY_LIMIT_BYTES


async def test_a_body_of_exactly_the_limit_is_accepted(client: httpx.AsyncClient) -> None:
    response = await client.post("/raw", content=b" " * BODY_LIMIT_BYTES, headers=JSON)
    assert response.json() == BODY_LIMIT_BYTES


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/orders/7", "order_id"),
        ("/orders/%00", "order_id"),
        ("/orders?limit=0", "limit"),
        ("/orders?limit=101", "limit"),
        ("/orders?limit=99999999999999999999999", "limit"),
        ("/orders?limit=%00", "limit"),
        ("/orders?cursor=%00", "cursor"),
        ("/orders?cursor=%FF", "cursor"),
        (f"/orders?cursor={'A' * 300}", "cursor"),
    ],
)
async def test_an_invalid_parameter_is_named(client: httpx.AsyncClient, path: str, field: str) -> None:
    response = await client.get(path)
    is_problem(response, 422, "invalid_request")
    assert [each["field"] for each in response.json()["errors"]] == [field]


@pytest.mark.parametrize("key", [None, b"", b"two words", b"x" * 256, b"caf\xe9"])
async def test_a_key_is_required_and_must_be_visible_ascii(client: httpx.AsyncClient, key: bytes | None) -> None:
    headers = {} if key is None else {b"Idempotency-Key": key}
    is_problem(await client.post("/keyed", headers=headers), 400, "idempotency_key_missing")


async def test_a_valid_key_is_accepted(client: httpx.AsyncClient) -> None:
    assert (await client.post("/keyed", headers={"Idempotency-Key": "x" * 255})).json() == "x" * 255


async def test_an_unknown_route_and_a_wrong_method_are_problems(client: httpx.AsyncClient) -> None:
    is_problem(await client.get("/nowhere"), 404, "not_found")
    is_problem(await client.get("/orders/"), 404, "not_found")
    wrong = await client.delete("/orders/x")
    is_problem(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "GET"


async def test_a_defect_is_a_500_without_details_and_a_log_line_with_the_traceback(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    response = await client.get("/broken")
    is_problem(response, 500, "internal_error")
    assert "secret" not in response.text
    logged = [record for record in caplog.records if record.exc_info]
    assert [record.exc_info[0] for record in logged if record.exc_info] == [ZeroDivisionError]


async def test_a_statement_that_takes_too_long_is_a_503(client: httpx.AsyncClient) -> None:
    response = await client.get("/slow")
    is_problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "2"


async def test_a_database_that_is_away_is_a_503(settings: AccountSettings) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://postgres@127.0.0.1:1/none")})
    async with running(away, make_router()) as client:
        is_problem(await client.get("/database"), 503, "unavailable")
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json() == {"status": "failed", "checks": {"postgres": "failed", "redis": "ok"}}
        assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_an_outage_writes_where_it_failed_once_and_not_for_each_request(
    settings: AccountSettings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = settings.model_copy(update={"database_url": SecretStr("postgresql://postgres@127.0.0.1:1/none")})
    async with running(away, make_router()) as client:
        for _ in range(3):
            await client.get("/database")
        monkeypatch.setattr(outage_log, "TRACEBACK_SECONDS", 0.0)
        later = outage_log.OutageLog()
        later.write(ConnectionRefusedError())
        later.write(ConnectionRefusedError())
    lines = [record for record in caplog.records if record.getMessage().startswith("unavailable: ")]
    assert [line.exc_info is not None for line in lines] == [True, False, False, True, True]


async def test_a_service_is_ready_without_redis(settings: AccountSettings) -> None:
    away = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    async with running(away, make_router()) as client:
        ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ok", "checks": {"postgres": "ok", "redis": "failed"}}


async def test_metrics_and_log_lines_count_by_route_and_hold_no_ids(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    identifier = UUID(int=7)
    with caplog.at_level(logging.INFO, logger="batua.access"):
        await client.get(f"/orders/{identifier}?token=hush")
    (line,) = [record for record in caplog.records if record.name == "batua.access"]
    facts = vars(line)["facts"]
    assert facts.keys() == {"method", "route", "status", "ms"}
    assert (facts["route"], facts["status"]) == ("/orders/{order_id}", 200)
    exposed = generate_latest().decode()
    assert (await client.get("/metrics")).status_code == 404
    assert 'route="/orders/{order_id}"' in exposed
    assert str(identifier) not in exposed


async def test_the_openapi_document_declares_every_status_of_a_route(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    assert "Problem" in document["components"]["schemas"]
    order = document["paths"]["/orders"]["post"]["responses"]
    assert order.keys() == {"200", "400", "408", "413", "415", "422", "500", "503"}
    assert all("application/problem+json" in order[status]["content"] for status in order.keys() - {"200"})
    assert "404" in document["paths"]["/orders/{order_id}"]["get"]["responses"]
    assert "/healthz" not in document["paths"]


async def test_a_slow_body_is_rejected_and_the_connection_closed(settings: AccountSettings) -> None:
    released = asyncio.Event()

    async def trickle() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" "
        await released.wait()

    async with running(settings, make_router(), body_seconds=deadline(0.2)) as client:
        for path in ("/orders", "/raw"):
            response = await client.post(path, content=trickle(), headers=JSON)
            is_problem(response, 408, "body_too_slow")
            assert response.headers["connection"] == "close"
        assert (await client.post("/orders", json=GOOD)).status_code == 200
