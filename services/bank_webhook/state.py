"""What the running webhook holds."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from services.bank_webhook.gate import Gate
from services.bank_webhook.settings import BankWebhookSettings
from shared.db.engine import SessionMaker


@dataclass(frozen=True, slots=True)
class WebhookState:
    """Built when the application starts; no connection is made before one is needed."""

    settings: BankWebhookSettings
    gate: Gate
    engine: AsyncEngine
    sessionmaker: SessionMaker
