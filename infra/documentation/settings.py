"""Every setting of every process, read from the settings classes themselves."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from infra.cli.encrypt_account_numbers import EncryptionSettings
from infra.cli.migrate import MigrationSettings
from infra.cli.seed import SeedSettings
from infra.cli.users import SystemUserSettings
from infra.documentation.descriptions import descriptions
from services.bank_webhook.settings import BankWebhookSettings
from services.dummy_bank.settings import BankSimulatorSettings
from services.merchant_app.settings import MerchantAppSettings
from services.user_app.settings import UserAppSettings
from services.withdraw_worker.settings import WorkerSettings
from shared import config
from shared.banks.settings import BankSettings
from shared.config import DatabaseSettings

READERS: Mapping[str, tuple[type[BaseSettings], ...]] = {
    "user_app": (UserAppSettings,),
    "merchant_app": (MerchantAppSettings,),
    "bank_webhook": (BankWebhookSettings,),
    "withdraw_worker": (WorkerSettings,),
    "scheduler": (WorkerSettings,),
    "dummy_bank": (BankSimulatorSettings,),
    "batua migrate": (MigrationSettings,),
    "batua encrypt-account-numbers": (EncryptionSettings,),
    "batua seed": (SeedSettings,),
    "batua prove": (DatabaseSettings, BankSettings),
    "batua reconcile": (DatabaseSettings, BankSettings),
    "batua withdrawals": (DatabaseSettings,),
    "batua status": (DatabaseSettings,),
    "batua find": (DatabaseSettings,),
    "batua freeze": (DatabaseSettings,),
    "batua users": (SystemUserSettings,),
}

_WORD = re.compile(r"([A-Z])")
_PER_SECONDS = re.compile(r"_per_\w+_seconds$")
"""A number of other things, in so many seconds."""
_UNITS = {"_seconds": "seconds", "_paise": "paise"}
_PLAIN_NAMES = {int: "integer", float: "number", bool: "true or false", str: "text", Path: "path"}


class NoDescription(Exception):
    """A setting that says nothing about itself."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable. `default` is None when it must be set; a list is written comma-separated."""

    variable: str
    kind: str
    default: str | None
    meaning: str
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The settings that one class adds to those of its bases, and the processes and commands that read them."""

    title: str
    meaning: str
    readers: tuple[str, ...]
    settings: tuple[Setting, ...]


def groups() -> list[Group]:
    """Every group of settings: first what services share, in the order of `shared.config`. Raises NoDescription."""
    found = (_group(owner) for owner in _owners())
    return [group for group in found if group.settings]


def settings_of(owner: type[BaseSettings]) -> tuple[Setting, ...]:
    """The settings that `owner` adds to those of its bases. Raises NoDescription."""
    prefix = owner.model_config.get("env_prefix") or ""
    own = [name for name in owner.__annotations__ if name in owner.model_fields]
    return tuple(setting for name in own for setting in _settings(owner, name, f"{prefix}{name}"))


def _group(owner: type[BaseSettings]) -> Group:
    title = _WORD.sub(r" \1", owner.__name__.removesuffix("Settings")).strip().capitalize()
    return Group(
        title=title.replace("On ramp", "On-ramp") or "Every service",
        meaning=(owner.__doc__ or "").strip(),
        readers=tuple(name for name, read in READERS.items() if any(issubclass(each, owner) for each in read)),
        settings=settings_of(owner),
    )


def _owners() -> list[type[BaseSettings]]:
    """Every settings class that some process reads."""
    read = [base for classes in READERS.values() for each in classes for base in each.__mro__]
    owners = [base for base in dict.fromkeys(read) if issubclass(base, BaseSettings) and base is not BaseSettings]
    order = list(vars(config).values())
    return sorted(owners, key=lambda owner: order.index(owner) if owner in order else len(order))


def _settings(owner: type[BaseModel], field: str, name: str, default: object = PydanticUndefined) -> Iterator[Setting]:
    described = owner.model_fields[field]
    if isinstance(described.annotation, type) and issubclass(described.annotation, BaseModel):
        values = described.default
        for inner in described.annotation.model_fields:
            yield from _settings(described.annotation, inner, f"{name}__{inner}", getattr(values, inner))
        return
    meaning = described.description or descriptions(owner).get(field)
    if not meaning:
        raise NoDescription(name.upper())
    given = described.default if default is PydanticUndefined else default
    yield Setting(
        variable=name.upper(),
        kind=_kind(described, name),
        default=None if described.is_required() else _text(given),
        meaning=" ".join(meaning.split()),
        is_secret=_is_secret(described.annotation),
    )


def _kind(described: FieldInfo, name: str) -> str:
    units = {} if _PER_SECONDS.search(name.lower()) else _UNITS
    unit = next((unit for suffix, unit in units.items() if name.lower().endswith(suffix)), None)
    parts = [_type_name(described.annotation), unit, _bounds(described.metadata)]
    return ", ".join(part for part in parts if part)


def _type_name(annotation: Any) -> str:
    origin, inner = get_origin(annotation), [each for each in get_args(annotation) if each is not type(None)]
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in inner)
    if origin is list:
        return "networks" if _is_network(inner[0]) else "texts"
    if origin in (Union, types.UnionType):
        return _type_name(inner[0])
    return "text" if annotation is SecretStr else _PLAIN_NAMES[annotation]


def _is_network(annotation: Any) -> bool:
    return set(get_args(annotation)) == {IPv4Network, IPv6Network}


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(_is_secret(each) for each in get_args(annotation))


def _bounds(metadata: list[Any]) -> str | None:
    low = next((f"at least {each.ge}" for each in metadata if isinstance(each, Ge)), None)
    low = low or next((f"above {each.gt}" for each in metadata if isinstance(each, Gt)), None)
    high = next((f"at most {each.le}" for each in metadata if isinstance(each, Le)), None)
    return " and ".join(bound for bound in (low, high) if bound) or None


def _text(value: object) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
