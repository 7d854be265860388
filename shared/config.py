"""Typed pieces of settings, put together by each service; read from `BATUA_*` in the environment.

No secret has a default. With `BATUA_ENV=production` a service refuses to start while any of its
secrets is missing, short or well known, and says which.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.money import MAX_MOVEMENT_PAISE

Network = IPv4Network | IPv6Network

BANKS = ("hdfc", "axis")
MIN_SECRET_LENGTH = 16
MIN_DIFFERENT_CHARACTERS = 6
MIN_PRODUCTION_BCRYPT_ROUNDS = 12
_KNOWN_WORDS = ("changeme", "change-me", "password", "example", "insecure", "secret")


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """What every service reads, and the rule about secrets in production."""

    model_config = SettingsConfigDict(
        env_prefix="BATUA_", env_nested_delimiter="__", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    env: Literal["local", "production"] = "local"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def is_production(self) -> bool:
        """True where real money moves: cookies are Secure and weak settings are refused."""
        return self.env == "production"

    @model_validator(mode="after")
    def _refuse_weak_secrets(self) -> Self:
        if not self.is_production:
            return self
        weak = [name for name, value in self._secrets() if _is_weak(value)]
        if weak:
            names = ", ".join(f"BATUA_{name.upper()}" for name in sorted(set(weak)))
            raise ValueError(f"weak in production (use {MIN_SECRET_LENGTH} or more random characters): {names}")
        return self

    def _secrets(self) -> list[tuple[str, str]]:
        values = {name: getattr(self, name) for name in type(self).model_fields if not name.endswith("_url")}
        return [
            (name, item.get_secret_value())
            for name, value in values.items()
            for item in (value if isinstance(value, list) else [value])
            if isinstance(item, SecretStr)
        ]


def _is_weak(secret: str) -> bool:
    lowered = secret.lower()
    short = len(secret) < MIN_SECRET_LENGTH or len(set(lowered)) < MIN_DIFFERENT_CHARACTERS
    return short or any(word in lowered for word in _KNOWN_WORDS)


class DatabaseSettings(Settings):
    """Where the truth is kept: `postgresql://user:password@host:port/name`."""

    database_url: SecretStr
    database_pool_size: int = Field(default=10, ge=1, le=100)
    database_pool_timeout_seconds: float = Field(default=5.0, gt=0)
    database_statement_timeout_seconds: float = Field(default=15.0, gt=0)
    database_lock_timeout_seconds: float = Field(default=10.0, gt=0)


class RedisSettings(Settings):
    """Broker, cache and guard: never the truth, and everything must go on without it."""

    redis_url: SecretStr
    redis_timeout_seconds: float = Field(default=0.25, gt=0)


SecretList = Annotated[list[SecretStr], NoDecode, Field(min_length=1)]


class TokenSettings(Settings):
    """Keys that sign session tokens, newest first: the first signs, all verify."""

    token_keys: SecretList
    token_lifetime_seconds: int = Field(default=7 * 24 * 3600, ge=60)
    pin_token_lifetime_seconds: int = Field(default=300, ge=10)

    _token_keys = field_validator("token_keys", mode="before")(_split)


class PasswordSettings(Settings):
    """How passwords and PINs are hashed."""

    pin_pepper: SecretStr
    bcrypt_rounds: int = Field(default=12, ge=4, le=16)
    pin_attempts: int = Field(default=5, ge=1)
    pin_window_seconds: int = Field(default=15 * 60, ge=1)

    @model_validator(mode="after")
    def _enough_rounds(self) -> Self:
        if self.is_production and self.bcrypt_rounds < MIN_PRODUCTION_BCRYPT_ROUNDS:
            raise ValueError(f"BATUA_BCRYPT_ROUNDS is at least {MIN_PRODUCTION_BCRYPT_ROUNDS} in production")
        return self


class RateLimits(BaseModel):
    """Throttling of sign-ins and sign-ups (never the PIN lockout, which cannot be turned off)."""

    model_config = ConfigDict(frozen=True)

    enabled: bool = True
    login_per_email: str = "10/15minutes"
    login_per_address: str = "100/15minutes"
    sign_ups_per_address: str = "100/hour"


class RateLimitSettings(Settings):
    """`BATUA_RATE_LIMITS__ENABLED=false` turns throttling off, outside production only."""

    rate_limits: RateLimits = RateLimits()

    @model_validator(mode="after")
    def _always_on_in_production(self) -> Self:
        if self.is_production and not self.rate_limits.enabled:
            raise ValueError("BATUA_RATE_LIMITS__ENABLED cannot be false in production")
        return self


class Bank(BaseModel):
    """One bank, as a service that talks to it sees it."""

    model_config = ConfigDict(frozen=True)

    code: str
    name: str
    url: str
    api_key: SecretStr
    pages_url: str = ""
    """Where a person's browser finds the bank's pages, when that is not `url`."""


class BankSettings(Settings):
    """The banks' addresses and our keys there, for services that call a bank."""

    bank_hdfc_url: str
    bank_hdfc_api_key: SecretStr
    bank_hdfc_pages_url: str = ""
    bank_axis_url: str
    bank_axis_api_key: SecretStr
    bank_axis_pages_url: str = ""

    @property
    def banks(self) -> dict[str, Bank]:
        """Every bank by its code."""
        return {
            "hdfc": Bank(
                code="hdfc",
                name="HDFC Bank",
                url=self.bank_hdfc_url,
                api_key=self.bank_hdfc_api_key,
                pages_url=self.bank_hdfc_pages_url,
            ),
            "axis": Bank(
                code="axis",
                name="Axis Bank",
                url=self.bank_axis_url,
                api_key=self.bank_axis_api_key,
                pages_url=self.bank_axis_pages_url,
            ),
        }


NetworkList = Annotated[list[Network], NoDecode]


def _networks(value: object) -> object:
    parts = _split(value)
    return [ip_network(part) if isinstance(part, str) else part for part in parts] if isinstance(parts, list) else parts


class ProxySettings(Settings):
    """The proxies in front whose `X-Forwarded-For` is believed; nobody's, unless they are named."""

    trusted_proxies: NetworkList = []

    _proxies = field_validator("trusted_proxies", mode="before")(_networks)


class WebhookSettings(ProxySettings):
    """Who may call the webhook: secrets newest first, and the networks the bank calls from."""

    bank_hdfc_webhook_secrets: SecretList
    bank_hdfc_webhook_networks: NetworkList
    bank_axis_webhook_secrets: SecretList
    bank_axis_webhook_networks: NetworkList
    webhook_tolerance_seconds: int = Field(default=300, ge=1)

    _secrets_lists = field_validator("bank_hdfc_webhook_secrets", "bank_axis_webhook_secrets", mode="before")(_split)
    _callers = field_validator("bank_hdfc_webhook_networks", "bank_axis_webhook_networks", mode="before")(_networks)


class WithdrawalTimings(BaseModel):
    """How long a payout waits for what; all in seconds, so that a test can turn hours into moments."""

    model_config = ConfigDict(frozen=True)

    bank_timeout_seconds: float = Field(default=5, gt=0)
    lease_seconds: float = Field(default=60, gt=0)
    retry_base_seconds: float = Field(default=2, gt=0)
    retry_cap_seconds: float = Field(default=600, gt=0)
    not_found_grace_seconds: float = Field(default=30, gt=0)
    sweep_seconds: float = Field(default=10, gt=0)
    review_after_seconds: float = Field(default=86400, gt=0)

    @model_validator(mode="after")
    def _lease_outlives_the_call(self) -> Self:
        if self.lease_seconds <= self.bank_timeout_seconds:
            raise ValueError("a lease must outlive one call to the bank")
        return self


class WithdrawalSettings(Settings):
    """`BATUA_WITHDRAWALS__...`."""

    withdrawals: WithdrawalTimings = WithdrawalTimings()


class OnRampTimings(BaseModel):
    """When a pending on-ramp is asked about at the bank."""

    model_config = ConfigDict(frozen=True)

    enquire_after_seconds: float = Field(default=600, gt=0)
    bank_timeout_seconds: float = Field(default=5, gt=0)


class OnRampSettings(Settings):
    """`BATUA_ON_RAMPS__...`, and where the bank sends the person back to."""

    on_ramps: OnRampTimings = OnRampTimings()
    user_app_url: str


class MovementLimits(BaseModel):
    """How much one owner may send to others, and withdraw: at once, and in a day (India's). All in paise.

    As shipped they stop a runaway, not a person; a platform that goes live sets what its licence allows.
    """

    model_config = ConfigDict(frozen=True)

    transfer_per_movement_paise: int = Field(default=MAX_MOVEMENT_PAISE, ge=1)
    transfer_per_day_paise: int = Field(default=100 * MAX_MOVEMENT_PAISE, ge=1)
    withdrawal_per_movement_paise: int = Field(default=MAX_MOVEMENT_PAISE, ge=1)
    withdrawal_per_day_paise: int = Field(default=100 * MAX_MOVEMENT_PAISE, ge=1)


class LimitSettings(Settings):
    """`BATUA_LIMITS__TRANSFER_PER_DAY_PAISE` and the like."""

    limits: MovementLimits = MovementLimits()


class WelcomeSettings(Settings):
    """A gift at sign-up, posted as `funding`; 0 outside demos."""

    welcome_balance_paise: int = Field(default=0, ge=0)


class MailSettings(Settings):
    """The SMTP server that outgoing mail is handed to."""

    smtp_host: str
    smtp_port: int = Field(ge=1, le=65535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: Literal["none", "starttls", "implicit"] = "none"
    smtp_timeout_seconds: float = Field(default=10.0, gt=0)
    mail_from: str = "Batua <no-reply@batua.example>"
