"""What the running webhook has open."""

from __future__ import annotations

from dataclasses import dataclass

from services.bank_webhook.gate import Gate
from services.bank_webhook.inbox import Inbox
from services.bank_webhook.settings import BankWebhookSettings
from shared.runtime.database import Database


@dataclass(frozen=True, slots=True)
class WebhookResources(Database):
    """Built when the application starts; no connection is made before one is needed."""

    settings: BankWebhookSettings
    gate: Gate
    inbox: Inbox
