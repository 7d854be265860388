"""Deliver mail, and measure what waits."""

from __future__ import annotations

from services.withdraw_worker.metrics import observe_mail
from shared.config import MailSettings
from shared.db.engine import SessionMaker
from shared.outbox import queue
from shared.outbox.delivery import deliver_due


async def deliver_mail(sessionmaker: SessionMaker, settings: MailSettings) -> None:
    """One run of delivery."""
    sent = await deliver_due(sessionmaker, settings)
    observe_mail(sent=sent, backlog=await queue.backlog(sessionmaker))
