"""A shortcut answers what the ordinary way answers: status, headers, body and the money that moves.

Two worlds of the same people live in one database. One is served with shortcuts, the other without. Each gets the same
requests, well-formed or not, in the same order; in some tests over sockets, from the server whose whole requests do not
enter the framework.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from sqlalchemy import text
from uvicorn.server import ServerState

from services.user_app.main import create_app
from shared.auth.tokens import Tokens
from shared.http import shortcuts
from shared.http.application import BODY_LIMIT_BYTES
from shared.http.literal_routes import LiteralRoutes
from shared.http.server import BoundedProtocol
from tests.support.apps import PIN, RunningApp, Signed, opened, user_app_settings
from tests.support.deadlines import deadline

TRANSFERS, WALLET, TRANSACTIONS, HOME = "/api/v1/transfers", "/api/v1/wallet", "/api/v1/transactions", "/"
_ROLE = re.compile(r"<(\w+)>")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_MOMENT = re.compile(r"20\d\d-\d\d-\d\dT[\d:.]+(Z|\+00:00)|\b1?\d:\d\d [ap]m")

Header = tuple[str, str]


@dataclass(frozen=True)
class Sent:
    """A request in which `<name>` stands for what each world puts there."""

    method: str
    path: str
    headers: list[Header]
    body: bytes
    is_chunked: bool


@dataclass
class World:
    """An app, its people, and the names of what is different in every world."""

    app: RunningApp
    roles: dict[str, str]
    owners: list[Any]
    numbers: dict[str, int] = field(default_factory=dict)
    address: tuple[str, int] = ("", 0)

    async def answer(self, sent: Sent) -> tuple[int, list[Header], str]:
        """Send it, and tell the answer in words that hold in every world."""
        headers = [(name.encode(), self._filled(value).encode("latin-1")) for name, value in sent.headers]
        body = self._filled(sent.body.decode("latin-1")).encode("latin-1")

        async def chunks() -> AsyncIterator[bytes]:
            yield body[:7]
            yield body[7:]

        content = chunks() if sent.is_chunked else body or None
        request = self.app.client.build_request(sent.method, self._filled(sent.path), content=content)
        framing = [(name, value) for name, value in request.headers.raw if name.lower() in _FRAMING]
        request.headers = httpx.Headers([(b"host", b"batua.test"), *framing, *headers])
        response = await self.app.client.send(request)
        assert response.headers["content-length"] == str(len(response.content))
        given = [(name, self._told(value)) for name, value in response.headers.items() if name not in _OF_EVERY_ANSWER]
        return response.status_code, given, self._told(response.text)

    async def answer_over_a_socket(self, sent: Sent) -> bytes:
        """All that the server writes back, in words that hold in every world. A chunked body comes in two pieces, after
        its head; any other with it.
        """
        body = self._filled(sent.body.decode("latin-1")).encode("latin-1")
        pieces = [b"%x\r\n%b\r\n" % (len(each), each) for each in (body[:7], body[7:]) if each] + [b"0\r\n\r\n"]
        framing = b"Transfer-Encoding: chunked" if sent.is_chunked else b"Content-Length: %d" % len(body)
        path = httpx.URL(f"http://batua.test{self._filled(sent.path)}").raw_path
        head = [b"%b %b HTTP/1.1" % (sent.method.encode(), path), b"Host: batua.test", framing]
        head += [f"{name}: {self._filled(value)}".encode("latin-1") for name, value in sent.headers]
        whole = b"\r\n".join([*head, b"\r\n"])
        reader, writer = await asyncio.open_connection(*self.address)
        for piece in [whole, *pieces] if sent.is_chunked else [whole + body]:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(deadline()):
            heard = await reader.readuntil(b"\r\n\r\n")
            heard += await reader.readexactly(int(re.findall(rb"\r\ncontent-length: (\d+)", heard)[0]))
        writer.close()
        told = self._told(_OF_ONE_ANSWER.sub(rb"\1", heard).decode("latin-1"))
        return _LENGTH.sub("", told).encode("latin-1")

    async def money(self) -> tuple[Any, ...]:
        """What the people own, and what is written about them."""
        async with self.app.sessionmaker() as session:
            accounts = await session.execute(_ACCOUNTS, {"owners": self.owners})
            counts = (await session.execute(_COUNTS, {"owners": self.owners})).one()
        return (*(tuple(row) for row in accounts), tuple(counts))

    def _filled(self, template: str) -> str:
        return _ROLE.sub(lambda found: self.roles.get(found[1], found[0]), template)

    def _told(self, answer: str) -> str:
        for name, value in self.roles.items():
            answer = answer.replace(value, f"<{name}>").replace(quote(value), f"<{name}>")  # as a page links to it
        told = _ID.sub(lambda found: f"<id {self.numbers.setdefault(found[0], len(self.numbers))}>", answer)
        return _MOMENT.sub("<moment>", told)


_OF_ONE_ANSWER = re.compile(rb"(\r\nx-request-id: )[^\r]*")
_LENGTH = re.compile(r"(?<=\r\ncontent-length: )\d+")
_FRAMING = {b"content-length", b"transfer-encoding"}
_OF_EVERY_ANSWER = {"x-request-id", "content-length"}
_ACCOUNTS = text("SELECT kind, balance, held, seq FROM accounts WHERE owner_id = ANY(:owners) ORDER BY owner_id, kind")
_COUNTS = text("""
    SELECT (SELECT count(*) FROM transfers WHERE initiated_by = ANY(:owners)),
           (SELECT count(*) FROM idempotency_keys WHERE owner_id = ANY(:owners)),
           (SELECT count(*) FROM outbox_messages WHERE owner_id = ANY(:owners))
""")


async def _world(app: RunningApp) -> World:
    asha, ravi = await app.person("Asha", balance=1000_00), await app.person("Ravi")
    pot = (await asha.post("/accounts", name="Goa")).json()["id"]
    assert (await asha.send(pot, 100_00)).status_code == 201
    tokens: Tokens = app.app.state.resources.tokens
    pin = await asha.post("/auth/pin", pin=PIN, key=None)
    pin_of_ravi = await ravi.post("/auth/pin", pin=PIN, key=None)
    revoked = Signed(app.client, asha.profile, tokens.issue(asha.id).token)
    assert (await revoked.post("/auth/logout", key=None)).status_code == 204
    late = app.app.state.settings.model_copy(update={"token_lifetime_seconds": -60})
    roles = {
        "asha": asha.wallet_id,
        "ASHA": asha.wallet_id.upper(),
        "ravi": ravi.wallet_id,
        "pot": pot,
        "wallet_id": (await asha.wallet())["account_id"],
        "wallet_of_ravi": (await ravi.wallet())["account_id"],
        "token": asha.token,
        "token_of_ravi": ravi.token,
        "revoked": revoked.token,
        "expired": Tokens(late, "user_app").issue(asha.id).token,
        "of_a_shop": Tokens(late, "merchant_app").issue(asha.id).token,
        "pin_token": pin.json()["pin_token"],
        "pin_token_of_ravi": pin_of_ravi.json()["pin_token"],
    }
    return World(app, roles, [asha.id, ravi.id])


taken: Counter[str] = Counter()


@pytest.fixture
async def worlds(
    database_url: str, redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[World, World]]:
    """With shortcuts, and without."""
    made = []
    async with AsyncExitStack() as stack:
        for chosen in (_counted(shortcuts._parameters_of), {}):
            monkeypatch.setattr(shortcuts, "_parameters_of", chosen)
            app = create_app(user_app_settings(database_url, redis_url))
            client = await stack.enter_async_context(opened(app, "http://batua.test"))
            address = await stack.enter_async_context(_listening(app))
            async with httpx.AsyncClient(base_url="http://{}:{}".format(*address), trust_env=False) as first:
                assert (await first.get("/healthz")).status_code == 200  # the first request builds the routes
            world = await _world(RunningApp(app, client, app.state.resources.sessionmaker))
            world.address = address
            made.append(world)
        taken.clear()
        yield made[0], made[1]


@asynccontextmanager
async def _listening(app: Any) -> AsyncIterator[tuple[str, int]]:
    """Serve an app, whose lifespan is open, on a port, in this loop and by our server's protocol."""
    config = uvicorn.Config(app, log_config=None, proxy_headers=False, server_header=False, access_log=False, ws="none")
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"today"), (b"via", b"test")]

    def protocol() -> BoundedProtocol:
        return BoundedProtocol(config=config, server_state=state, app_state={})

    async with await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()


def _counted(parameters: dict[Any, shortcuts.Parameters]) -> dict[Any, shortcuts.Parameters]:
    def counting(endpoint: Any) -> shortcuts.Parameters:
        async def count(request: Any) -> dict[str, Any] | None:
            found = await parameters[endpoint](request)
            taken[endpoint.__name__] += found is not None
            return found

        return count

    return {endpoint: counting(endpoint) for endpoint in parameters}


def one_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


NOTHING: dict[str, str | None] = {}
PARTS: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "authorization": (
        one_of("Bearer <token>"),
        one_of(
            *("bearer <token>", "BEARER  <token>", "Bearer <token> ", "Basic <token>", "Bearer", "Bearer ", "<token>"),
            *("Bearer x<token>", "Bearer <revoked>", "Bearer <expired>", "Bearer <of_a_shop>", "Bearer <pin_token>"),
            *("Bearer \xe9", "Bearer a b", "Bearer <token_of_ravi>", f"Bearer {'x' * 5000}", "", None),
        ),
    ),
    "x-pin-token": (
        one_of("<pin_token>"),
        one_of("", "<token>", "<pin_token_of_ravi>", "x<pin_token>", "<pin_token> x", "x" * 5000, "\xe9", None),
    ),
    "idempotency-key": (
        one_of(*"abcdefghijklmnop"),
        one_of("", "two words", "x" * 255, "x" * 256, "caf\xe9", None),
    ),
    "content-type": (
        one_of("application/json"),
        one_of(
            *("application/json; charset=utf-8", "Application/JSON", "application/json ", "text/plain", "", None),
            *("application/problem+json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        ),
    ),
    "cookie": (st.none(), one_of("session=<token>", "session=<token_of_ravi>", "session=", "a=b; session=<token>")),
    "sec-fetch-site": (st.none(), one_of("same-origin", "cross-site", "none", "")),
    "origin": (st.none(), one_of("http://batua.test", "http://other.test", "null")),
    "again": (
        st.none(),
        one_of(
            *(("idempotency-key", "a"), ("x-pin-token", "<pin_token_of_ravi>"), ("content-type", "text/plain")),
            *(("authorization", "Bearer <token_of_ravi>"), ("x-request-id", "mine"), ("x-forwarded-for", "1.2.3.4")),
        ),
    ),
    "chunked": (st.just(False), st.just(True)),
    "to": (
        one_of("<ravi>", "<ravi>", "<pot>", "<ASHA>", " <ravi> ", "nobody@batua"),
        one_of("<asha>", "<wallet_id>", "<wallet_of_ravi>", "x", "", 1, None, ["<ravi>"], "\u200b<ravi>", "a" * 71),
    ),
    "amount": (
        st.integers(1, 50),
        one_of(0, -1, 10**9, 10**30, 1.0, 1.5, "1", True, None, 900_00, 2_000_000_00, float("nan"), float("inf")),
    ),
    "note": (
        one_of(None, "chai"),
        one_of("", "  lunch ", "\u0bb5\u0ba3", "x" * 201, "a\nb", "\ud800", 5, "\u202eevil", True),
    ),
    "from_account": (one_of(None, None, "<pot>"), one_of("<wallet_id>", "<wallet_of_ravi>", str(uuid4()), "x", 1)),
    "pin": (st.none(), one_of(PIN, "12", 4711)),
    "query": (
        one_of("", "?limit=20", "?limit=2", "?limit=2&cursor=NQ", "?cursor=Mw"),
        one_of(
            *("?limit=0", "?limit=101", "?limit=007", "?limit=+5", "?limit=5 ", "?limit=5&limit=6", "?limit=%35", "?"),
            *("?limit=", "?limit=\u0665", "?cursor=", "?cursor=Mw&limit=3", "?cursor=%4Dw", "?cursor=Mw&cursor=NQ"),
            *("?cursor=!", "?cursor=AAAA", "?cursor=" + "A" * 300, "?&limit=3", "?limit=3&", "?LIMIT=3", "?more=1"),
            *("?kind=p2p", "?direction=DEBIT&limit=3", "?account_id=<pot>", "?account_id=<wallet_of_ravi>"),
        ),
    ),
    "fields": (st.just(NOTHING), one_of({"more": 1}, {"to": None}, {"amount": None}, {"To": "<ravi>"})),
    "body": (
        st.none(),
        one_of(
            *("", " ", "{", "[]", "null", "7", '"x"', "[" * 5000, " " * (BODY_LIMIT_BYTES + 1)),
            *('{"to": "<ravi>", "amount": 3, "amount": 4}', '\ufeff{"to": "<ravi>", "amount": 5}'),
            *('{"to": "<ravi>", "amount": 6}   ', '{"amount": ' + "9" * 5000 + "}"),
            *('{"to": "<ravi>", "amount": 7} {}', '{"to": "<ravi>", "amount": NaN}', b"\xff\xfe", b'{"to": "\xff"}'),
            '{"to": "a@batua", "amount": 8}'.encode("utf-16"),
        ),
    ),
}
"""Each part of a request: as a well-formed one has it, and otherwise."""
_HEADERS = ("authorization", "idempotency-key", "x-pin-token", "content-type", "cookie", "sec-fetch-site", "origin")
_FIELDS = ("to", "amount", "note", "from_account", "pin")


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """A request for one of the four routes; up to three parts of it are odd."""
    odd = draw(st.one_of(st.just(set[str]()), st.sets(st.sampled_from(list(PARTS)), max_size=3)))
    part = {name: draw(other if name in odd else usual) for name, (usual, other) in PARTS.items()}
    path = draw(one_of(TRANSFERS, TRANSFERS, TRANSFERS, WALLET, TRANSACTIONS, HOME))
    is_transfer = path == TRANSFERS
    body = part["body"]
    if body is None and (is_transfer or "content-type" in odd):
        body = json.dumps({name: part[name] for name in _FIELDS if part[name] is not None} | part["fields"])
    content = body.encode() if isinstance(body, str) else body or b""
    headers = [(name, part[name]) for name in _HEADERS if part[name] is not None]
    if not is_transfer and not content:
        headers = [header for header in headers if header[0] not in ("content-type", "idempotency-key", "x-pin-token")]
    if part["again"] is not None:
        headers.append(part["again"])
    path += part["query"] if path == TRANSACTIONS or "query" in odd else ""
    return Sent("POST" if is_transfer else "GET", path, headers, content, part["chunked"] and bool(content))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(sent=requests())
async def test_both_ways_answer_alike(worlds: tuple[World, World], sent: Sent) -> None:
    with_shortcuts, without = worlds
    assert await with_shortcuts.answer(sent) == await without.answer(sent)
    assert await with_shortcuts.money() == await without.money()


async def test_what_is_well_formed_takes_the_shortcut(worlds: tuple[World, World]) -> None:
    token = ("authorization", "Bearer <token>")
    headers = [token, ("x-pin-token", "<pin_token>"), ("content-type", "application/json")]
    for key, status in (("a", 201), ("b", 201), ("a", 201), ("c", 404)):
        to = "nobody@batua" if status == 404 else "<ravi>"
        body = json.dumps({"to": to, "amount": 5}).encode()
        sent = Sent("POST", TRANSFERS, [*headers, ("idempotency-key", key)], body, is_chunked=False)
        answers = [await world.answer(sent) for world in worlds]
        assert answers[0] == answers[1]
        assert answers[0][0] == status
    for path in (WALLET, TRANSACTIONS, f"{TRANSACTIONS}?limit=2", f"{TRANSACTIONS}?limit=1&cursor=Mg", HOME):
        read = Sent("GET", path, [token], b"", is_chunked=False)
        answers = [await world.answer(read) for world in worlds]
        assert answers[0] == answers[1]
        assert answers[0][0] == 200
    assert taken == {"send_money": 4, "get_wallet": 1, "list_transactions": 3, "show_home": 1}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(sent=requests())
async def test_both_ways_write_the_same_bytes(worlds: tuple[World, World], sent: Sent) -> None:
    with_shortcuts, without = worlds
    assert await with_shortcuts.answer_over_a_socket(sent) == await without.answer_over_a_socket(sent)
    assert await with_shortcuts.money() == await without.money()


async def test_what_is_well_formed_and_whole_does_not_enter_the_framework(
    worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[str] = []
    handle = LiteralRoutes.handle

    async def entering(self: LiteralRoutes, scope: Any, receive: Any, send: Any) -> None:
        entered.append(scope["path"])
        await handle(self, scope, receive, send)

    monkeypatch.setattr(LiteralRoutes, "handle", entering)
    token = ("authorization", "Bearer <token>")
    headers = [token, ("x-pin-token", "<pin_token>"), ("content-type", "application/json")]
    requested = [Sent("GET", path, [token], b"", is_chunked=False) for path in (WALLET, TRANSACTIONS, HOME)]
    for key, to in (("a", "<ravi>"), ("a", "<ravi>"), ("b", "stranger@batua")):
        body = json.dumps({"to": to, "amount": 5}).encode()
        requested.append(Sent("POST", TRANSFERS, [*headers, ("idempotency-key", key)], body, is_chunked=False))
    for sent in requested:
        answers = [await world.answer_over_a_socket(sent) for world in worlds]
        assert answers[0] == answers[1]
    assert len(entered) == len(requested)  # those of the world without
    in_pieces = replace(requested[-1], is_chunked=True)
    answers = [await world.answer_over_a_socket(in_pieces) for world in worlds]
    assert answers[0] == answers[1]


async def test_one_connection_serves_one_request_after_another(worlds: tuple[World, World]) -> None:
    world, _ = worlds
    head = f"GET {WALLET} HTTP/1.1\r\nHost: batua.test\r\nAuthorization: Bearer {world.roles['token']}\r\n\r\n".encode()
    reader, writer = await asyncio.open_connection(*world.address)
    for together in (1, 3):  # three at once are pipelined
        writer.write(head * together)
        for _ in range(together):
            async with asyncio.timeout(deadline()):
                answered = await reader.readuntil(b"\r\n\r\n")
                assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"connection: close" not in answered
                length = int(re.findall(rb"content-length: (\d+)", answered)[0])
                assert json.loads(await reader.readexactly(length))["account_id"] == world.roles["wallet_id"]
    writer.close()


async def test_a_cookie_is_as_good_as_a_token_when_the_page_is_ours(worlds: tuple[World, World]) -> None:
    headers = [("cookie", "session=<token>"), ("x-pin-token", "<pin_token>"), ("content-type", "application/json")]
    body = b'{"to": "<pot>", "amount": 5}'
    for number, (site, status) in enumerate((("same-origin", 201), ("cross-site", 403))):
        more = [("sec-fetch-site", site), ("idempotency-key", f"key-{number}")]
        answers = [await world.answer(Sent("POST", TRANSFERS, headers + more, body, False)) for world in worlds]
        assert answers[0] == answers[1]
        assert answers[0][0] == status
