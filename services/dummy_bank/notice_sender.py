"""Takes notices to the platform: signed, retried with growing pauses, spoiled where a fault says so.

2xx: delivered. 404 or 422: the platform will not have it, so a person's money is given back. Anything
else is tried again. A spoiled attempt (wrong amount, bad signature) decides nothing; the next one is right.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from dataclasses import replace

import httpx

from services.dummy_bank import netbanking, notice_queue
from services.dummy_bank.database import Database, Row
from services.dummy_bank.metrics import Metrics
from services.dummy_bank.notice_queue import Delivery
from services.dummy_bank.settings import BankProfile, BankSimulatorSettings
from shared.banks.notices import PaymentNotice
from shared.banks.signatures import sign
from shared.banks.table import BANKS
from shared.clock import now

WRONG_BY_PAISE = 100
_ANSWER_CHARACTERS = 300


class Courier:
    """Delivers notices over HTTP and keeps the answers."""

    def __init__(self, database: Database, settings: BankSimulatorSettings, metrics: Metrics) -> None:
        self._database = database
        self._settings = settings
        self._metrics = metrics
        # Not through a proxy from the environment: the platform is where the settings say it is.
        self._client = httpx.AsyncClient(timeout=settings.webhook_timeout_seconds, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def deliver(self, profile: BankProfile, row: Row) -> None:
        """Make the next attempt at a queued notice and act on the answer."""
        kinds = _kinds_of_attempt(row)
        deliveries = list(await asyncio.gather(*(self._send(profile, row, kind) for kind in kinds)))
        with self._database.transaction() as connection:
            status = notice_queue.record(connection, row, deliveries, self._pause_after(row["attempts"]))
            notice = notice_queue.notice_of(row)
            if status == "rejected" and isinstance(notice, PaymentNotice) and notice.event == "success":
                netbanking.give_back(connection, profile, notice.token)

    async def resend(self, profile: BankProfile, row: Row) -> None:
        """Send a delivered notice once more, as it was; whatever is answered changes nothing here."""
        delivery = await self._send(profile, row, "resent")
        with self._database.transaction() as connection:
            notice_queue.keep(connection, row["id"], [delivery])

    def _pause_after(self, attempts_before: int) -> float | None:
        if attempts_before + 1 >= self._settings.webhook_attempts:
            return None
        pause = self._settings.webhook_retry_base_seconds * 2.0**attempts_before
        return min(pause, self._settings.webhook_retry_cap_seconds)

    async def _send(self, profile: BankProfile, row: Row, kind: str) -> Delivery:
        notice, message_id = notice_queue.notice_of(row), row["message_id"]
        secret = profile.webhook_secret.get_secret_value()
        if kind == "wrong_amount":
            # Another message with its own id, so that the true one is not taken for a copy of it.
            notice, message_id = replace(notice, amount=notice.amount + WRONG_BY_PAISE), f"{message_id}_wrong"
        if kind == "bad_signature":
            secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        body = BANKS[profile.code].encode(notice)
        headers = {"content-type": "application/json", **sign(secret, message_id, now(), body)}
        try:
            answer = await self._client.post(profile.webhook_url, content=body, headers=headers)
            delivery = Delivery(kind, answer.status_code, answer.text[:_ANSWER_CHARACTERS])
        except httpx.HTTPError as error:
            delivery = Delivery(kind, None, type(error).__name__)
        self._metrics.deliveries.labels(profile.code, kind, str(delivery.status or "none")).inc()
        return delivery


def _kinds_of_attempt(row: Row) -> list[str]:
    spoiled = [kind for kind in ("wrong_amount", "bad_signature") if row[kind]]
    attempt: int = row["attempts"]
    if attempt < len(spoiled):
        return [spoiled[attempt]]
    first_true_one = attempt == len(spoiled)
    return ["normal", "duplicate"] if row["duplicate"] and first_true_one else ["normal"]
