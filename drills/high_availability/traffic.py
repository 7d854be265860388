"""Callers who pay each other without a pause, and repeat each request with its key until it is answered 201."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from drills.high_availability.judgement import CREATED, NO_ANSWER, Answer
from infra.demo.actors import NO_TLS, PIN
from shared.ids import new_token

PAYERS = 8
PAYMENT_PAISE = 1_00
PATIENCE_SECONDS = 3.0
"""How long a caller waits for an answer before it asks again, as a phone does."""
PAUSE_SECONDS = 0.1
THINK_SECONDS = 0.02
WITHDRAWAL_SECONDS = 1.0
LAST_SECONDS = 60.0
"""How long requests are repeated after the last fault. What is not answered then is stuck."""
ACCEPTED = 202
BANK_ACCOUNT = {"bank": "hdfc", "account_number": "50100012345678", "ifsc": "HDFC0000123", "account_holder": "A Rao"}


@dataclass(slots=True)
class Person:
    """Someone with a wallet."""

    wallet_id: str
    token: str


@dataclass(slots=True)
class Traffic:
    """The callers of two apps that serve the same. `withdrawals` are references that were accepted."""

    apps: Sequence[str]
    answers: list[Answer] = field(default_factory=list)
    withdrawals: set[str] = field(default_factory=set)
    withdrawal_statuses: list[int] = field(default_factory=list)
    _is_over: bool = False
    _turn: Any = field(default_factory=count)
    _client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False, verify=NO_TLS)
    )

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Pay from the beginning to the end of the block; then what is under way is repeated for LAST_SECONDS."""
        people = [await self._sign_up(f"Payer{number}") for number in range(PAYERS)]
        shop = await self._sign_up("Receiver")
        tasks = [asyncio.create_task(self._keep_paying(person, shop)) for person in people]
        tasks += [asyncio.create_task(self._keep_withdrawing(await self._sign_up("Saver"))) for _ in range(2)]
        try:
            yield
        finally:
            self._is_over = True
            _, stuck = await asyncio.wait(tasks, timeout=LAST_SECONDS)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._client.aclose()

    async def _sign_up(self, name: str) -> Person:
        body = {"first_name": name, "last_name": "Rao", "pin": PIN, "password": new_token(12)}
        body["email"] = f"{new_token(8).lower().strip('-_')}@example.com"
        answer = await self._client.post(f"{self.apps[0]}/api/v1/auth/register", json=body)
        answer.raise_for_status()
        told = answer.json()
        return Person(told["user"]["wallet_id"], told["token"])

    async def _keep_paying(self, person: Person, shop: Person) -> None:
        while not self._is_over:
            key = new_token()
            body = {"to": shop.wallet_id, "amount": PAYMENT_PAISE, "pin": PIN, "note": key}
            while await self._ask(person, "/transfers", key, body) != CREATED:
                await asyncio.sleep(PAUSE_SECONDS)
            await asyncio.sleep(THINK_SECONDS)

    async def _keep_withdrawing(self, person: Person) -> None:
        while not self._is_over:
            key, body = new_token(), {**BANK_ACCOUNT, "amount": PAYMENT_PAISE, "pin": PIN}
            while True:
                answer = await self._send(person, "/withdrawals", key, body)
                self.withdrawal_statuses.append(NO_ANSWER if answer is None else answer.status_code)
                if answer is not None and answer.status_code == ACCEPTED:
                    self.withdrawals.add(answer.json()["id"])
                    break
                await asyncio.sleep(PAUSE_SECONDS)
            await asyncio.sleep(WITHDRAWAL_SECONDS)

    async def _ask(self, person: Person, path: str, key: str, body: dict[str, Any]) -> int:
        answer = await self._send(person, path, key, body)
        status = NO_ANSWER if answer is None else answer.status_code
        self.answers.append(Answer(time.monotonic(), status, key))
        return status

    async def _send(self, person: Person, path: str, key: str, body: dict[str, Any]) -> httpx.Response | None:
        """One attempt, at the other app each time."""
        app = self.apps[next(self._turn) % len(self.apps)]
        headers = {"Authorization": f"Bearer {person.token}", "Idempotency-Key": key}
        try:
            return await self._client.post(f"{app}/api/v1{path}", json=body, headers=headers)
        except httpx.HTTPError:
            return None
