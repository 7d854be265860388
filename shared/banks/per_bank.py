"""Settings that every bank needs, written once: a settings class gets them for each bank of the table."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, TypeVar

from pydantic import BaseModel, create_model
from pydantic_settings import BaseSettings

from shared.banks.table import BANKS

_Settings = TypeVar("_Settings", bound=BaseSettings)


def for_each_bank(template: type[BaseModel], *, prefix: str = "") -> Callable[[type[_Settings]], type[_Settings]]:
    """Class decorator: add the fields of `template` once per bank, each as `<prefix><code>_<field>`.

    `{bank}` in a field's description becomes the bank's name. The template gives descriptions with `Field`: no text can
    be below the fields that it adds to a settings class.
    """

    def add_fields(settings: type[_Settings]) -> type[_Settings]:
        fields: dict[str, Any] = {}
        for bank in BANKS.values():
            for name, described in template.model_fields.items():
                field = copy(described)
                field.description = (described.description or "").format(bank=bank.name)
                fields[f"{prefix}{bank.code}_{name}"] = (described.annotation, field)
        return create_model(
            settings.__name__, __base__=settings, __module__=settings.__module__, __doc__=settings.__doc__, **fields
        )

    return add_fields


def values_of(settings: BaseSettings, template: type[BaseModel], code: str, *, prefix: str = "") -> dict[str, Any]:
    """What `settings` say about the bank with this code, by the template's field names."""
    return {name: getattr(settings, f"{prefix}{code}_{name}") for name in template.model_fields}
