"""What the webhook reads: Postgres, and per bank its secrets and networks. No Redis, no bank's address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, SecretStr, model_validator

from shared.banks.signatures import check_secret
from shared.config import DatabaseSettings, Network, WebhookSettings


@dataclass(frozen=True, slots=True)
class Sender:
    """One bank as a caller: where it calls from, and what it signs with (newest first, not in its repr)."""

    bank: str
    networks: tuple[Network, ...]
    secrets: tuple[SecretStr, ...]


class BankWebhookSettings(DatabaseSettings, WebhookSettings):
    """How long one delivery to the webhook may take."""

    webhook_body_seconds: float = Field(default=10.0, gt=0)
    """The whole body has to arrive within this time."""
    webhook_commit_seconds: float = Field(default=15.0, gt=0)
    """The delivery is committed within this time, all attempts included, or answered 503 so that the bank retries."""

    @property
    def senders(self) -> dict[str, Sender]:
        """Every bank that may call, by its code."""
        hdfc = Sender("hdfc", tuple(self.bank_hdfc_webhook_networks), tuple(self.bank_hdfc_webhook_secrets))
        axis = Sender("axis", tuple(self.bank_axis_webhook_networks), tuple(self.bank_axis_webhook_secrets))
        return {sender.bank: sender for sender in (hdfc, axis)}

    @model_validator(mode="after")
    def _secrets_can_verify(self) -> Self:
        for sender in self.senders.values():
            for secret in sender.secrets:
                check_secret(secret.get_secret_value())
        return self
