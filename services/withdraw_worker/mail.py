"""Deliver mail."""

from __future__ import annotations

from services.withdraw_worker.metrics import count_sent
from shared.db.engine import SessionMaker
from shared.outbox.delivery import deliver_due
from shared.outbox.settings import MailSettings


async def deliver_mail(sessionmaker: SessionMaker, settings: MailSettings) -> None:
    """One run of delivery."""
    count_sent(await deliver_due(sessionmaker, settings))
