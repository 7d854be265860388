"""The simulated banks as chaos uses them: their faults, their pages, and their records."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from chaos.caller import new_client
from shared.banks.table import BANKS

DECISION_TRIES = 6
PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class BankLine:
    """A line of a bank's statement, from our side: CREDIT is money that came in. Paise."""

    bank: str
    reference: str
    direction: str
    amount: int
    balance_after: int


class Banks:
    """All of them. They are one process, which may be away."""

    def __init__(self, base_url: str, secrets: Mapping[str, str], book: Path, slowness: float) -> None:
        self._client = new_client(base_url, slowness)
        self._keys = {code: {"X-Api-Key": secrets[f"BATUA_BANK_{code.upper()}_API_KEY"]} for code in BANKS}
        self._book = book

    async def decide(self, url: str, decision: str) -> None:
        """Approve or decline on the netbanking page as the demo customer, who gives up after some tries."""
        form = {"customer_id": "demo", "password": "demo", "decision": decision}
        for _ in range(DECISION_TRIES):
            with suppress(httpx.HTTPError):
                answer = await self._client.post(url, data=form)
                if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return
            await asyncio.sleep(PAUSE_SECONDS)

    async def misbehave(self, bank: str, faults: Mapping[str, Any]) -> None:
        """Set the faults of a bank, as soon as it can be reached. Without any it behaves."""
        await self._until_ok("PUT", bank, "/faults", json=dict(faults))

    async def statement(self) -> list[BankLine]:
        """Every line of both nodal accounts, in order."""
        lines = []
        for bank in BANKS:
            items = (await self._until_ok("GET", bank, "/statement")).json()["items"]
            names = ("reference", "direction", "amount", "balance_after")
            lines += [BankLine(bank, *(item[name] for name in names)) for item in items]
        return lines

    def lost_notices(self) -> list[tuple[str, str]]:
        """The bank and the name of each notice that was dropped or given up."""
        return self._rows("SELECT bank, message_id FROM notices WHERE status IN ('dropped', 'exhausted')")

    async def send(self, notices: Iterable[tuple[str, str]]) -> None:
        """Have the banks send them after all, as their operators would."""
        for bank, message_id in notices:
            await self._until_ok("POST", bank, f"/notices/{message_id}/resend")

    def unfinished(self) -> list[str]:
        """What the banks have still to do or to tell."""
        notices = self._rows("SELECT message_id, facts FROM notices WHERE status = 'pending'")
        payouts = self._rows("SELECT reference, status FROM payouts WHERE due_at IS NOT NULL")
        return [f"notice {name} {facts}" for name, facts in notices] + [f"payout {name} {at}" for name, at in payouts]

    def payouts_in_doubt(self) -> int:
        """Calls whose payout was made, and whose caller was not told."""
        ((number,),) = self._rows("SELECT count(*) FROM calls WHERE outcome = 'timeout_after_work'")
        return int(number)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _until_ok(self, method: str, bank: str, path: str, **how: Any) -> httpx.Response:
        while True:
            with suppress(httpx.HTTPError):
                answer = await self._client.request(method, f"/{bank}/api{path}", headers=self._keys[bank], **how)
                if answer.is_success:
                    return answer
                if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise RuntimeError(f"{method} {path} at {bank} answered {answer.status_code}: {answer.text}")
            await asyncio.sleep(PAUSE_SECONDS)

    def _rows(self, query: str) -> list[Any]:
        """Read the banks' book, which has more than their API tells."""
        with closing(sqlite3.connect(f"file:{self._book}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(query).fetchall()
