"""The simulator's settings: `DUMMY_BANK_*`. No secret has a default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.banks.per_bank import for_each_bank, values_of
from shared.banks.signatures import check_secret
from shared.banks.table import BANKS
from shared.secret_files import secret_files


class _Access(BaseModel):
    api_key: SecretStr = Field(description="The key that callers of {bank}'s API must send.")
    webhook_secret: SecretStr = Field(
        description="The secret that {bank} signs its notices with: `whsec_` + base64.",
    )
    webhook_url: str = Field(description="Where {bank} sends its notices.")


@dataclass(frozen=True, slots=True)
class BankProfile:
    """One simulated bank: its names, who may call it, and where it sends notices. Its repr shows no secret."""

    code: str
    name: str
    utr_prefix: str
    api_key: SecretStr
    webhook_secret: SecretStr
    webhook_url: str


@for_each_bank(_Access)
class SimulatedBankSettings(BaseSettings):
    """Who may call each simulated bank, and where it sends its notices. No simulated bank reads a `BATUA_*` setting."""

    model_config = SettingsConfigDict(
        env_prefix="DUMMY_BANK_",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the environment, then the files of `DUMMY_BANK_SECRETS_DIRECTORY`."""
        return (init_settings, env_settings, *secret_files(settings_cls, "DUMMY_BANK_SECRETS_DIRECTORY"))

    @model_validator(mode="after")
    def _secrets_can_sign(self) -> Self:
        for profile in self.banks.values():
            check_secret(profile.webhook_secret.get_secret_value())
        return self

    @property
    def banks(self) -> dict[str, BankProfile]:
        """Every simulated bank by its code."""
        return {
            bank.code: BankProfile(bank.code, bank.name, bank.ifsc_prefix, **values_of(self, _Access, bank.code))
            for bank in BANKS.values()
        }


class BankSimulatorSettings(SimulatedBankSettings):
    """Where the simulator keeps its book and answers, and how long it waits."""

    database: Path
    """The SQLite file that holds the banks' own book."""
    public_url: str
    """Base address at which browsers find the banks' pages."""
    session_seconds: float = Field(default=900, gt=0)
    """How long a netbanking session stays open."""
    webhook_authority: Path | None = None
    """File with the certificates of those who signed that of our webhook. Not set: those that browsers know."""
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
