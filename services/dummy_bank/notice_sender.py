"""Sends notices to the platform: signed, retried with growing pauses, spoiled where a fault says so.

2xx means delivered. 404 and 422 mean that the platform rejects the notice; a person's payment is then returned. After
any other answer the notice is sent again. A spoiled attempt (wrong amount, bad signature) decides nothing; a right one
follows.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import ssl
from dataclasses import replace

import httpx

from services.dummy_bank import netbanking, notice_queue
from services.dummy_bank.database import Database, Row
from services.dummy_bank.metrics import Metrics
from services.dummy_bank.notice_queue import Attempt
from services.dummy_bank.settings import BankProfile, BankSimulatorSettings
from shared.banks.notices import PaymentNotice
from shared.banks.signatures import sign
from shared.banks.table import BANKS
from shared.clock import now

WRONG_BY_PAISE = 100
_ANSWER_CHARACTERS = 300


class NoticeSender:
    """Sends notices over HTTP and stores the answers."""

    def __init__(self, database: Database, settings: BankSimulatorSettings, metrics: Metrics) -> None:
        self._database = database
        self._settings = settings
        self._metrics = metrics
        # No proxy from the environment: the platform is at the address in the settings.
        authority = settings.webhook_authority
        verify = True if authority is None else ssl.create_default_context(cafile=authority)
        self._client = httpx.AsyncClient(timeout=settings.webhook_timeout_seconds, trust_env=False, verify=verify)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def send(self, profile: BankProfile, row: Row) -> None:
        """Make the next attempt at a queued notice and act on the answer."""
        kinds = _kinds_of_attempt(row)
        attempts = list(await asyncio.gather(*(self._attempt(profile, row, kind) for kind in kinds)))
        with self._database.transaction() as connection:
            status = notice_queue.record(connection, row, attempts, self._pause_after(row["attempts"]))
            notice = notice_queue.notice_of(row)
            if status == "rejected" and isinstance(notice, PaymentNotice) and notice.event == "success":
                netbanking.return_payment(connection, profile, notice.token)

    async def resend(self, profile: BankProfile, row: Row) -> None:
        """Send a delivered notice once more. The answer changes nothing."""
        attempt = await self._attempt(profile, row, "resent")
        with self._database.transaction() as connection:
            notice_queue.store(connection, row["id"], [attempt])

    def _pause_after(self, attempts_before: int) -> float | None:
        if attempts_before + 1 >= self._settings.webhook_attempts:
            return None
        pause = self._settings.webhook_retry_base_seconds * 2.0**attempts_before
        return min(pause, self._settings.webhook_retry_cap_seconds)

    async def _attempt(self, profile: BankProfile, row: Row, kind: str) -> Attempt:
        notice, message_id = notice_queue.notice_of(row), row["message_id"]
        secret = profile.webhook_secret.get_secret_value()
        if kind == "wrong_amount":
            # A message with its own id, so that the true one does not count as its copy.
            notice, message_id = replace(notice, amount=notice.amount + WRONG_BY_PAISE), f"{message_id}_wrong"
        if kind == "bad_signature":
            secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        body = BANKS[profile.code].encode(notice)
        headers = {"content-type": "application/json", **sign(secret, message_id, now(), body)}
        try:
            answer = await self._client.post(profile.webhook_url, content=body, headers=headers)
            attempt = Attempt(kind, answer.status_code, answer.text[:_ANSWER_CHARACTERS])
        except httpx.HTTPError as error:
            attempt = Attempt(kind, None, type(error).__name__)
        self._metrics.deliveries.labels(profile.code, kind, str(attempt.status or "none")).inc()
        return attempt


def _kinds_of_attempt(row: Row) -> list[str]:
    spoiled = [kind for kind in ("wrong_amount", "bad_signature") if row[kind]]
    attempts_before: int = row["attempts"]
    if attempts_before < len(spoiled):
        return [spoiled[attempts_before]]
    is_first_true_one = attempts_before == len(spoiled)
    return ["normal", "duplicate"] if row["duplicate"] and is_first_true_one else ["normal"]
