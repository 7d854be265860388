"""The HTTP requests that the bench sends, as bytes. KEY stands where each gets an idempotency key of its own."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

from bench.population import HOT_SHOP, Person, account_id, handle_of, owner_id
from shared import clock
from shared.banks import hdfc
from shared.banks.notices import PaymentNotice
from shared.banks.signatures import sign

KEY, END = b"\x1f", b"\x1e"
SMALLEST_AMOUNT, LARGEST_AMOUNT = 1_00, 100_00
"""Paise. Mail about less waits for an hour, and the load is over when its mail is sent."""
BULK_ITEMS = 1000


def transfers(people: Sequence[Person], *, to_shop: bool) -> list[bytes]:
    """One payment by each person: to another, chosen at random, or all to the one shop."""
    made = []
    for person in random.sample(people, len(people)):
        to = handle_of(HOT_SHOP) if to_shop else random.choice(people).handle
        if to == person.handle:
            continue
        body = {"to": to, "amount": random.randint(SMALLEST_AMOUNT, LARGEST_AMOUNT)}
        made.append(_post("/api/v1/transfers", body, person))
    return made


def bulk_transfers(people: Sequence[Person], *, to_shop: bool, requests: int) -> list[bytes]:
    """Requests of BULK_ITEMS transfers each, from different people."""
    made = []
    for person in random.sample(people, requests):
        others = [other.handle for other in random.sample(people, min(BULK_ITEMS + 1, len(people))) if other != person]
        handles = [handle_of(HOT_SHOP)] * BULK_ITEMS if to_shop else others[:BULK_ITEMS]
        items = [{"to": handle, "amount": random.randint(SMALLEST_AMOUNT, 2_00)} for handle in handles]
        made.append(_post("/api/v1/transfers/bulk", {"items": items}, person))
    return made


def api_reads(path: str, people: Sequence[Person]) -> list[bytes]:
    """GET a path of the API as each person."""
    return [_get(f"/api/v1{path}", f"Authorization: Bearer {person.token}") for person in _shuffled(people)]


def page_reads(path: str, people: Sequence[Person]) -> list[bytes]:
    """GET a page as each person's browser does."""
    return [_get(path, f"Accept: text/html\r\nCookie: session={person.token}") for person in _shuffled(people)]


def hello_reads() -> list[bytes]:
    """GET the hello-world route."""
    return [_get("/", "Accept: */*")]


def thin_transfers(people: Sequence[Person]) -> list[bytes]:
    """The same transfers for the thin app, which believes who pays."""
    made = []
    for person in _shuffled(people):
        to = random.choice(people)
        if to.number == person.number:
            continue
        body = {"to": to.handle, "amount": random.randint(SMALLEST_AMOUNT, LARGEST_AMOUNT)}
        headers = f"X-Owner: {owner_id(person.number)}\r\nX-Account: {account_id(person.number)}"
        made.append(
            _with_body("/transfers", json.dumps(body).encode(), f"{headers}\r\nIdempotency-Key: {KEY.decode()}")
        )
    return made


def notices(bank_secret: str, tokens: Iterable[tuple[str, str, int]]) -> list[bytes]:
    """Signed notices of success, as the simulator sends them, for on-ramps of `(token, owner id, paise)`."""
    now = clock.now()
    made = []
    for token, owner, amount in tokens:
        body = hdfc.encode(PaymentNotice("hdfc", "success", token, owner, amount, f"HDFC{token}"))
        signed = sign(bank_secret, f"msg_{token}", now, body)
        headers = "\r\n".join(f"{name}: {value}" for name, value in signed.items())
        made.append(_with_body("/webhooks/hdfc", body, headers))
    return made


def write(file: Path, requests: Iterable[bytes]) -> None:
    """The file that wrk.lua reads."""
    with file.open("wb") as stream:
        for request in requests:
            stream.write(request + END)


def in_turn(requests: Sequence[bytes], prefix: str) -> Iterator[bytes]:
    """The requests again and again, each with a new key."""
    for number in count(1):
        yield requests[number % len(requests)].replace(KEY, f"{prefix}{number}".encode(), 1)


def _shuffled(people: Sequence[Person]) -> list[Person]:
    return random.sample(people, len(people))


def _get(path: str, headers: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n\r\n".encode()


def _post(path: str, body: object, person: Person) -> bytes:
    headers = (
        f"Authorization: Bearer {person.token}\r\nX-Pin-Token: {person.pin_token}\r\nIdempotency-Key: {KEY.decode()}"
    )
    return _with_body(path, json.dumps(body).encode(), headers)


def _with_body(path: str, body: bytes, headers: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
