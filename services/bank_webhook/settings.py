"""The webhook's settings: Postgres, and per bank its secrets and networks. No Redis, no bank's address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.banks.per_bank import for_each_bank, values_of
from shared.banks.signatures import TOLERANCE_SECONDS, check_secret
from shared.banks.table import BANKS
from shared.config import DatabaseSettings, NetworkList, ProxySettings, SecretList, Settings
from shared.production import wide_networks
from shared.runtime.metrics_server import MetricsSettings
from shared.runtime.serving_settings import ServingSettings
from shared.runtime.tracing import TracingSettings

_PREFIX = "bank_"


class Sender(BaseModel):
    """One bank as a caller: what it signs with and where it calls from."""

    model_config = ConfigDict(frozen=True)

    webhook_secrets: SecretList = Field(
        description="Secrets that {bank} signs notices with (`whsec_` + base64), newest first; each of them verifies."
    )
    webhook_networks: NetworkList = Field(description="Networks that {bank} calls from, comma-separated.")


@for_each_bank(Sender, prefix=_PREFIX)
class WebhookSettings(Settings):
    """Who may call the webhook."""

    @property
    def senders(self) -> dict[str, Sender]:
        """Every bank that may call, by its code."""
        return {code: Sender(**values_of(self, Sender, code, prefix=_PREFIX)) for code in BANKS}

    def refusals(self) -> Iterator[str]:
        """Callers that may be any address."""
        yield from super().refusals()
        for code, sender in self.senders.items():
            yield from wide_networks(f"BATUA_BANK_{code.upper()}_WEBHOOK_NETWORKS", sender.webhook_networks)

    @model_validator(mode="after")
    def _secrets_can_verify(self) -> Self:
        for sender in self.senders.values():
            for secret in sender.webhook_secrets:
                check_secret(secret.get_secret_value())
        return self


class BankWebhookSettings(
    ServingSettings, MetricsSettings, TracingSettings, DatabaseSettings, ProxySettings, WebhookSettings
):
    """How long one delivery to the webhook may take, and how old it may be."""

    webhook_tolerance_seconds: int = Field(default=TOLERANCE_SECONDS, ge=1)
    """How far a notice's signed timestamp may lie from our clock, either way."""
    webhook_body_seconds: float = Field(default=10.0, gt=0)
    """The whole body has to arrive within this time."""
    webhook_commit_seconds: float = Field(default=15.0, gt=0)
    """The delivery is committed within this time, all attempts included, or answered 503 so that the bank retries."""
