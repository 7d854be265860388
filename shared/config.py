"""Typed pieces of settings, put together by each service; read from `BATUA_*` in the environment.

The text below a field is its description: docs/configuration.md and .env.example are made of it (`make docs`).
No secret has a default. With `BATUA_ENV=production` a process refuses to start with settings that are for a machine
without real money; each class says which of its own in `refusals`, and all of them are listed together.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from shared import production
from shared.addresses import database_address, tls_problems
from shared.money import MAX_MOVEMENT_PAISE
from shared.owner_quotas import OwnerQuotas
from shared.secret_files import SecretsUnreadable, secret_files

MAX_SLOTS = 256
"""Calls to one bank at once: what one event loop and one pool of connections carry."""


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
        defer_build=True,  # a process builds the one class that it reads, not each of its bases
    )

    env: Literal["local", "production"] = "local"
    """`production` marks cookies Secure and refuses weak settings at the start. In a container there is no default."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least severe log lines that are written, as JSON, to standard error."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the environment, then files of secrets. Raises SecretsUnreadable."""
        return (init_settings, env_settings, *secret_files(settings_cls))

    @property
    def is_production(self) -> bool:
        """True where real money moves: cookies are Secure and weak settings are refused."""
        return self.env == "production"

    def refusals(self) -> Iterator[str]:
        """A sentence for each setting that production refuses; a class adds its own to those of its bases."""
        yield from production.weak_secrets(self._secrets())

    @model_validator(mode="after")
    def _refuse_in_production(self) -> Self:
        refused = list(self.refusals()) if self.is_production else []
        if refused:
            raise ValueError("\n  * ".join(["BATUA_ENV=production refuses these settings:", *refused]))
        return self

    def _secrets(self) -> list[tuple[str, str]]:
        values = {name: getattr(self, name) for name in type(self).model_fields if not name.endswith("_url")}
        return [
            (f"BATUA_{name.upper()}", item.get_secret_value())
            for name, value in values.items()
            for item in (value if isinstance(value, list) else [value])
            if isinstance(item, SecretStr)
        ]


S = TypeVar("S", bound=Settings)


def settings_problems(error: ValidationError) -> list[str]:
    """What is wrong with settings, each variable by its name and no value of it."""
    return [
        f"BATUA_{'__'.join(map(str, problem['loc'])).upper()}: {problem['msg']}"
        if problem["loc"]
        else problem["msg"].removeprefix("Value error, ")
        for problem in error.errors(include_input=False, include_url=False)
    ]


def read_settings(kind: type[S]) -> S:
    """The settings of a process, from its environment. Exits with EX_CONFIG, and says why, if it must not start."""
    try:
        return kind()
    except ValidationError as error:
        problems = settings_problems(error)
    except SecretsUnreadable as error:
        problems = [str(error)]
    sys.stderr.write("\n".join([*problems, ""]))
    sys.exit(os.EX_CONFIG)


def _networks(value: object) -> object:
    parts = _split(value)
    return [ip_network(part) if isinstance(part, str) else part for part in parts] if isinstance(parts, list) else parts


NetworkList = Annotated[list[production.Network], NoDecode, BeforeValidator(_networks)]
"""Networks, comma-separated in the environment."""


class PrivateNetworkSettings(Settings):
    """Where production may send data without TLS. Loopback and Unix sockets need no mention."""

    private_networks: NetworkList = []
    """Networks in which no one else can listen, comma-separated, such as that of the containers."""
    private_hosts: Annotated[list[str], NoDecode, BeforeValidator(_split)] = []
    """Names of hosts in them, comma-separated: a name is not looked up. `.internal` means every name that ends so."""

    @property
    def private(self) -> production.Private:
        """Both of them."""
        return production.Private(self.private_networks, self.private_hosts)

    def refusals(self) -> Iterator[str]:
        """Networks that are no one's own."""
        yield from super().refusals()
        yield from production.wide_networks("BATUA_PRIVATE_NETWORKS", self.private_networks)


def database_refusals(variable: str, url: SecretStr, private: production.Private) -> Iterator[str]:
    """A weak password, and a way without TLS."""
    address = database_address(url.get_secret_value())
    yield from production.weak_password(variable, address)
    yield from production.plain_text(
        variable, address, private, "add ?sslmode=verify-full&sslrootcert=<file of the certificate's signers>"
    )


def require_usable_tls(variable: str, url: SecretStr) -> None:
    """Raises ValueError for words of TLS that never lead to a connection."""
    problems = list(tls_problems(url.get_secret_value()))
    if problems:
        raise ValueError(f"{variable}: {'; '.join(problems)}")


DatabaseEngine = Literal["postgres", "distributed"]
"""`distributed`: an engine that speaks Postgres's protocol and SQL on many machines."""


class DatabaseSettings(PrivateNetworkSettings):
    """Postgres, which holds the truth."""

    database_url: SecretStr
    """`postgresql://role:password@host:port/name`; each service has a role of its own. To encrypt the way there, add
    `?sslmode=verify-full&sslrootcert=<file>`, read as libpq does. Without `sslmode`, TLS is used if it is offered. Of
    several hosts, `host:port,host:port`, the primary is used, wherever it stands in the list;
    `target_session_attrs=read-write` also refuses one whose transactions are read-only by default."""
    database_pooler: Literal["none", "transaction"] = "none"
    """`transaction`: the URL leads to PgBouncer, or the like, which gives a connection for a transaction. Then no
    statement is kept prepared, and timeouts are those of the role, which `batua migrate --service-roles` sets."""
    database_pool_size: int = Field(default=10, ge=1, le=100)
    """Connections that the sessions of one process may hold open at once. Gathered work has eight more of its own."""
    database_pool_timeout_seconds: float = Field(default=5.0, gt=0)
    """How long a request waits for a free connection before it answers 503."""
    database_statement_timeout_seconds: float = Field(default=15.0, gt=0)
    """How long Postgres works on one statement. A transaction that idles for twice as long is ended."""
    database_lock_timeout_seconds: float = Field(default=10.0, gt=0)
    """How long a statement waits for a lock."""

    def refusals(self) -> Iterator[str]:
        """A weak password, and a way without TLS."""
        yield from super().refusals()
        yield from database_refusals("BATUA_DATABASE_URL", self.database_url, self.private)

    @model_validator(mode="after")
    def _tls_can_be_used(self) -> Self:
        require_usable_tls("BATUA_DATABASE_URL", self.database_url)
        return self


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
    """Mixed into the hash of every PIN. Never change it: no PIN would be right any more, nor
    the second factor of the platform's own user."""
    bcrypt_rounds: int = Field(default=12, ge=4, le=16)
    """Cost of a hash: each round more doubles its time. At least 12 in production."""
    pin_attempts: int = Field(default=5, ge=1)
    """Wrong PINs within the window after which the PIN is locked. At most 10 in production."""
    pin_window_seconds: int = Field(default=15 * 60, ge=1)
    """Length of that window. The lock opens when the first of the wrong PINs is this old."""

    def refusals(self) -> Iterator[str]:
        """Hashes that are too cheap, and PINs that can be guessed."""
        yield from super().refusals()
        if self.bcrypt_rounds < production.MIN_BCRYPT_ROUNDS:
            yield f"BATUA_BCRYPT_ROUNDS is too low: set {production.MIN_BCRYPT_ROUNDS} or more"
        if self.pin_attempts > production.MAX_PIN_ATTEMPTS:
            yield f"BATUA_PIN_ATTEMPTS lets PINs be guessed: set {production.MAX_PIN_ATTEMPTS} or fewer"


class RateLimits(BaseModel):
    """Throttling of sign-ins and sign-ups. The PIN lockout is separate and cannot be turned off."""

    model_config = ConfigDict(frozen=True)

    enabled: bool = True
    """`false` turns throttling off; production refuses that."""
    login_per_email: str = "10/15minutes"
    """Wrong passwords for an email from one network address, on one known device, or in one session. Then one more
    passes in each tenth (this number) of the time."""
    login_per_email_everywhere: str = "100/15minutes"
    """Wrong passwords for an email from all unknown devices. Then each network address has two within the time."""
    login_per_address: str = "100/15minutes"
    """Wrong passwords from the unknown devices of one network address, as above. An IPv6 /64 counts as one address. In
    production, at most 100 in a minute.
    """
    sign_ups_per_address: str = "100/hour"
    """Sign-ups per network address."""


class RateLimitSettings(Settings):
    """How often one may try to sign in or up, as `<number>/<period>`."""

    rate_limits: RateLimits = RateLimits()
    """Throttling of sign-ins and sign-ups."""

    def refusals(self) -> Iterator[str]:
        """Throttling that is off, or throttles nothing."""
        yield from super().refusals()
        if not self.rate_limits.enabled:
            yield "BATUA_RATE_LIMITS__ENABLED is false: leave it out"
        yield from production.fast_sign_ins("BATUA_RATE_LIMITS__LOGIN_PER_ADDRESS", self.rate_limits.login_per_address)


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class ProxySettings(Settings):
    """Reverse proxies in front of a service, and connections of others."""

    trusted_proxies: NetworkList = []
    """Networks of the proxies whose header is believed, comma-separated. By default, none is."""
    forwarded_header: Annotated[Literal["forwarded", "x-forwarded-for", "none"], BeforeValidator(_lowered)] = (
        "x-forwarded-for"
    )
    """The one header in which they say for whom they speak: `forwarded` (RFC 7239), `x-forwarded-for`, or `none`. The
    other is always ignored; let the proxies set or remove this one in every request."""
    connections_per_address: int = Field(default=500, ge=1)
    """Connections that one address, or one IPv6 /64, may have at each process of a service. Trusted proxies may have
    any number. Many people share one address behind a carrier's translation: do not set it low."""

    def refusals(self) -> Iterator[str]:
        """Proxies that may be any caller."""
        yield from super().refusals()
        yield from production.wide_networks("BATUA_TRUSTED_PROXIES", self.trusted_proxies)


class WithdrawalTimings(BaseModel):
    """How many payouts go out at once, and how long they wait for what; in seconds, so that a test can turn hours into
    moments.
    """

    model_config = ConfigDict(frozen=True)

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

    model_config = ConfigDict(frozen=True)

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

    def refusals(self) -> Iterator[str]:
        """An address of our own without TLS, to which browsers would bring no Secure cookie."""
        yield from super().refusals()
        yield from production.plain_http("BATUA_USER_APP_URL", self.user_app_url)


class MovementLimits(BaseModel):
    """How much one owner may send to others and withdraw, and the platform may give: at once, in a day. In paise."""

    model_config = ConfigDict(frozen=True)

    transfer_per_movement_paise: int = Field(default=MAX_MOVEMENT_PAISE, ge=1)
    """The largest single transfer to others."""
    transfer_per_day_paise: int = Field(default=100 * MAX_MOVEMENT_PAISE, ge=1)
    """What one owner may send to others in one day of the Indian calendar."""
    withdrawal_per_movement_paise: int = Field(default=MAX_MOVEMENT_PAISE, ge=1)
    """The largest single withdrawal."""
    withdrawal_per_day_paise: int = Field(default=100 * MAX_MOVEMENT_PAISE, ge=1)
    """What one owner may withdraw in one day of the Indian calendar."""
    funding_per_movement_paise: int = Field(default=MAX_MOVEMENT_PAISE // 10, ge=1)
    """The largest single amount of initial funds."""
    funding_per_day_paise: int = Field(default=MAX_MOVEMENT_PAISE, ge=1)
    """What the platform may give as initial funds in one day of the Indian calendar. Welcome balances do not count."""


class EmailSettings(Settings):
    """Whether money waits for a confirmed email address."""

    require_verified_email: bool | None = None
    """`true`: money leaves a wallet only when its owner has confirmed the email address (else 403 `email_unverified`).
    Not set: in production only. Refunds and moves between own accounts need no confirmed address."""

    @property
    def requires_verified_email(self) -> bool:
        """The setting, or its default."""
        return self.is_production if self.require_verified_email is None else self.require_verified_email


class LimitSettings(Settings):
    """How much may be moved. The defaults stop a runaway program only; set what your licence allows."""

    limits: MovementLimits = MovementLimits()
    """Limits per movement and per day."""


class QuotaSettings(Settings):
    """How much one owner may do. What is counted over time is counted by each process, and shared within a second."""

    quotas: OwnerQuotas = OwnerQuotas()
    """Quotas of each owner."""
