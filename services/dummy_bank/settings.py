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
    """The simulated banks. They are the outside world, so they read no `BATUA_*` setting."""

    model_config = SettingsConfigDict(
        env_prefix="DUMMY_BANK_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    database: Path
    """The SQLite file that holds the banks' own book."""
    public_url: str
    """Base address at which browsers find the banks' pages."""
    hdfc_api_key: SecretStr
    """The key that callers of HDFC Bank's API must send."""
    hdfc_webhook_secret: SecretStr
    """The secret that HDFC Bank signs its notices with: `whsec_` + base64."""
    hdfc_webhook_url: str
    """Where HDFC Bank sends its notices."""
    axis_api_key: SecretStr
    """The key that callers of Axis Bank's API must send."""
    axis_webhook_secret: SecretStr
    """The secret that Axis Bank signs its notices with: `whsec_` + base64."""
    axis_webhook_url: str
    """Where Axis Bank sends its notices."""

    session_seconds: float = Field(default=900, gt=0)
    """How long a netbanking session stays open."""
    webhook_timeout_seconds: float = Field(default=5, gt=0)
    """How long one delivery of a notice may take."""
    webhook_retry_base_seconds: float = Field(default=0.5, gt=0)
    """The first pause between two deliveries of a notice; it doubles with each attempt."""
    webhook_retry_cap_seconds: float = Field(default=30, gt=0)
    """The longest pause between two deliveries of a notice."""
    webhook_attempts: int = Field(default=20, ge=1, le=100)
    """After so many deliveries a notice is given up; the console can still send it."""
    hang_seconds: float = Field(default=60, gt=0)
    """How long the fault `timeout_after_rate` keeps a caller waiting."""
    hold_seconds: float = Field(default=120, gt=0)
    """How long the fault `hold_at` keeps a payout call waiting."""

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
