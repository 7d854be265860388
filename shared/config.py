"""Typed pieces of settings, put together by each service; read from `BATUA_*` in the environment.

The text below a field is its description: docs/configuration.md and .env.example are made of it (`make docs`).
No secret has a default. With `BATUA_ENV=production` a service refuses to start while one of its secrets is
missing, short or well known, and names it.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.money import MAX_MOVEMENT_PAISE

Network = IPv4Network | IPv6Network

MIN_SECRET_LENGTH = 16
MIN_DIFFERENT_CHARACTERS = 6
MIN_PRODUCTION_BCRYPT_ROUNDS = 12
MAX_SLOTS = 256
"""Calls to one bank at once: what one event loop and one pool of connections carry."""
_KNOWN_WORDS = ("changeme", "change-me", "password", "example", "insecure", "secret")


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class Settings(BaseSettings):
    """What every service reads."""

    model_config = SettingsConfigDict(
        env_prefix="BATUA_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    env: Literal["local", "production"] = "local"
    """`production` marks cookies Secure and refuses weak secrets and weak settings at the start."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe log lines that are written, as JSON, to standard error."""

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


class ServingSettings(Settings):
    """How a service that answers requests uses the cores of its machine."""

    processes: int = Field(default=0, ge=0, le=64)
    """Processes that share the service's port. 0 is one per core, but no more than 4 (on Linux; elsewhere one)."""


class DatabaseSettings(Settings):
    """Postgres, which holds the truth."""

    database_url: SecretStr
    """`postgresql://role:password@host:port/name`; each service has a role of its own."""
    database_pool_size: int = Field(default=10, ge=1, le=100)
    """Connections that the sessions of one process may hold open at once. Gathered work has four more of its own."""
    database_pool_timeout_seconds: float = Field(default=5.0, gt=0)
    """How long a request waits for a free connection before it answers 503."""
    database_statement_timeout_seconds: float = Field(default=15.0, gt=0)
    """How long Postgres works on one statement. A transaction that idles for twice as long is ended."""
    database_lock_timeout_seconds: float = Field(default=10.0, gt=0)
    """How long a statement waits for a lock."""


class RedisSettings(Settings):
    """Redis: messages, and counts of failed sign-ins. It never holds the truth; every service works without it."""

    redis_url: SecretStr
    """`redis://:password@host:port/0`."""
    redis_timeout_seconds: float = Field(default=0.25, gt=0)
    """How long to connect to Redis, or to wait for an answer of it. There is no second try."""


SecretList = Annotated[list[SecretStr], NoDecode, BeforeValidator(_split), Field(min_length=1)]
"""Secrets, comma-separated in the environment, newest first."""


class TokenSettings(Settings):
    """Session tokens and PIN tokens."""

    token_keys: SecretList
    """Keys that sign tokens, newest first: the first signs, all verify. Rotate by putting a new one in front."""
    token_lifetime_seconds: int = Field(default=7 * 24 * 3600, ge=60)
    """How long a session lasts after sign-in."""
    pin_token_lifetime_seconds: int = Field(default=300, ge=10)
    """How long a PIN token stands in for the PIN."""


class PasswordSettings(Settings):
    """How passwords and PINs are hashed, and when a PIN is locked."""

    pin_pepper: SecretStr
    """Mixed into the hash of every PIN. Never change it: no PIN would be right any more."""
    bcrypt_rounds: int = Field(default=12, ge=4, le=16)
    """Cost of a hash: each round more doubles its time. At least 12 in production."""
    pin_attempts: int = Field(default=5, ge=1)
    """Wrong PINs within the window after which the PIN is locked."""
    pin_window_seconds: int = Field(default=15 * 60, ge=1)
    """Length of that window. The lock opens when the first of the wrong PINs is this old."""

    @model_validator(mode="after")
    def _enough_rounds(self) -> Self:
        if self.is_production and self.bcrypt_rounds < MIN_PRODUCTION_BCRYPT_ROUNDS:
            raise ValueError(f"BATUA_BCRYPT_ROUNDS is at least {MIN_PRODUCTION_BCRYPT_ROUNDS} in production")
        return self


class RateLimits(BaseModel):
    """Throttling of sign-ins and sign-ups. The PIN lockout is separate and cannot be turned off."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    enabled: bool = True
    """`false` turns throttling off; production refuses that."""
    login_per_email: str = "10/15minutes"
    """Failed sign-ins per email address."""
    login_per_address: str = "100/15minutes"
    """Failed sign-ins per network address. An IPv6 /64 counts as one address."""
    sign_ups_per_address: str = "100/hour"
    """Sign-ups per network address."""


class RateLimitSettings(Settings):
    """How often one may try to sign in or up, as `<number>/<period>`."""

    rate_limits: RateLimits = RateLimits()
    """Throttling of sign-ins and sign-ups."""

    @model_validator(mode="after")
    def _always_on_in_production(self) -> Self:
        if self.is_production and not self.rate_limits.enabled:
            raise ValueError("BATUA_RATE_LIMITS__ENABLED cannot be false in production")
        return self


def _networks(value: object) -> object:
    parts = _split(value)
    return [ip_network(part) if isinstance(part, str) else part for part in parts] if isinstance(parts, list) else parts


NetworkList = Annotated[list[Network], NoDecode, BeforeValidator(_networks)]
"""Networks, comma-separated in the environment."""


class ProxySettings(Settings):
    """Reverse proxies in front of a service."""

    trusted_proxies: NetworkList = []
    """Networks of the proxies whose `X-Forwarded-For` is believed, comma-separated. By default, none is."""


class WithdrawalTimings(BaseModel):
    """How many payouts go out at once, and how long they wait for what; in seconds, so that a test can turn hours into
    moments.
    """

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    slots_per_bank: int = Field(default=64, ge=1, le=MAX_SLOTS)
    """How many calls to one bank a worker makes at once. Each bank has its own: a slow one takes no others."""

    bank_timeout_seconds: float = Field(default=5, gt=0)
    """How long one call to a bank may take, from waiting for a connection to the last byte."""
    lease_seconds: float = Field(default=60, gt=0)
    """How long a worker may work on one withdrawal before it counts as gone. Longer than a call to the bank."""
    retry_base_seconds: float = Field(default=2, gt=0)
    """The longest first pause between two attempts; it doubles with each attempt."""
    retry_cap_seconds: float = Field(default=600, gt=0)
    """The longest pause between two attempts, and the pause between enquiries under review."""
    not_found_grace_seconds: float = Field(default=30, gt=0)
    """A payout is sent again only after two "not found" answers at least this far apart."""
    sweep_seconds: float = Field(default=10, gt=0)
    """How often a worker with free slots looks for withdrawals that are due, without a hint."""
    review_after_seconds: float = Field(default=86400, gt=0)
    """A withdrawal that is active for longer goes to `needs_review`."""

    @model_validator(mode="after")
    def _lease_outlives_the_call(self) -> Self:
        if self.lease_seconds <= self.bank_timeout_seconds:
            raise ValueError("a lease must outlive one call to the bank")
        return self


class WithdrawalSettings(Settings):
    """How long a payout waits for what."""

    withdrawals: WithdrawalTimings = WithdrawalTimings()
    """Timings of payouts."""


class OnRampTimings(BaseModel):
    """When a pending on-ramp is asked about at the bank."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    enquire_after_seconds: float = Field(default=600, gt=0)
    """A pending on-ramp is asked about at this age; each later pause is as long as the on-ramp is old."""
    bank_timeout_seconds: float = Field(default=5, gt=0)
    """How long one call to a bank may take, from waiting for a connection to the last byte."""


class OnRampSettings(Settings):
    """On-ramps: enquiries, and where the bank sends the person back to."""

    on_ramps: OnRampTimings = OnRampTimings()
    """Timings of on-ramps."""
    user_app_url: str
    """Base address at which browsers reach user_app; the bank sends people back there."""


class MovementLimits(BaseModel):
    """How much one owner may send to others, and withdraw, at once and in a day. All in paise."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    transfer_per_movement_paise: int = Field(default=MAX_MOVEMENT_PAISE, ge=1)
    """The largest single transfer to others."""
    transfer_per_day_paise: int = Field(default=100 * MAX_MOVEMENT_PAISE, ge=1)
    """What one owner may send to others in one day of the Indian calendar."""
    withdrawal_per_movement_paise: int = Field(default=MAX_MOVEMENT_PAISE, ge=1)
    """The largest single withdrawal."""
    withdrawal_per_day_paise: int = Field(default=100 * MAX_MOVEMENT_PAISE, ge=1)
    """What one owner may withdraw in one day of the Indian calendar."""


class LimitSettings(Settings):
    """How much may be moved. The defaults stop a runaway program only; set what your licence allows."""

    limits: MovementLimits = MovementLimits()
    """Limits per movement and per day."""


class WelcomeSettings(Settings):
    """What a new person finds in the wallet."""

    welcome_balance_paise: int = Field(default=0, ge=0)
    """A gift at sign-up, posted as a transfer of kind `funding`. 0 outside demos."""


class MailSettings(Settings):
    """The SMTP server that outgoing mail is handed to."""

    smtp_host: str
    """Its host name."""
    smtp_port: int = Field(ge=1, le=65535)
    """Its port."""
    smtp_username: str | None = None
    """User name, when the server wants one."""
    smtp_password: SecretStr | None = None
    """Password of that user."""
    smtp_tls: Literal["none", "starttls", "implicit"] = "none"
    """How the connection is encrypted: not at all, by STARTTLS, or from the first byte."""
    smtp_timeout_seconds: float = Field(default=10.0, gt=0)
    """How long one mail may take, connecting included."""
    mail_from: str = "Batua <no-reply@batua.example>"
    """Sender of all mail."""
