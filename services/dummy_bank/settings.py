"""What the simulator is told from outside: `DUMMY_BANK_*`. No secret has a default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.banks.signatures import check_secret


@dataclass(frozen=True, slots=True)
class BankProfile:
    """One simulated bank: who it is, who may call it, and whom it tells. Secrets are not in its repr."""

    code: str
    name: str
    utr_prefix: str
    api_key: SecretStr
    webhook_secret: SecretStr
    webhook_url: str


class BankSimulatorSettings(BaseSettings):
    """`DUMMY_BANK_DATABASE` is the SQLite file; `DUMMY_BANK_PUBLIC_URL` is where browsers find the pages."""

    model_config = SettingsConfigDict(env_prefix="DUMMY_BANK_", extra="ignore", frozen=True, hide_input_in_errors=True)

    database: Path
    public_url: str
    hdfc_api_key: SecretStr
    hdfc_webhook_secret: SecretStr
    hdfc_webhook_url: str
    axis_api_key: SecretStr
    axis_webhook_secret: SecretStr
    axis_webhook_url: str

    session_seconds: float = Field(default=900, gt=0)
    webhook_timeout_seconds: float = Field(default=5, gt=0)
    webhook_retry_base_seconds: float = Field(default=0.5, gt=0)
    webhook_retry_cap_seconds: float = Field(default=30, gt=0)
    webhook_attempts: int = Field(default=20, ge=1, le=100)
    hang_seconds: float = Field(default=60, gt=0)
    hold_seconds: float = Field(default=120, gt=0)

    @model_validator(mode="after")
    def _secrets_can_sign(self) -> Self:
        for secret in (self.hdfc_webhook_secret, self.axis_webhook_secret):
            check_secret(secret.get_secret_value())
        return self

    @property
    def banks(self) -> dict[str, BankProfile]:
        """Every simulated bank by its code."""
        hdfc = BankProfile(
            "hdfc", "HDFC Bank", "HDFC", self.hdfc_api_key, self.hdfc_webhook_secret, self.hdfc_webhook_url
        )
        axis = BankProfile(
            "axis", "Axis Bank", "UTIB", self.axis_api_key, self.axis_webhook_secret, self.axis_webhook_url
        )
        return {bank.code: bank for bank in (hdfc, axis)}
