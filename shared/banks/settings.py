"""How we reach each bank: read from `BATUA_BANK_<CODE>_*` by the services that call banks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, Field, SecretStr

from shared.banks.per_bank import for_each_bank, values_of
from shared.banks.table import BANKS
from shared.config import Settings
from shared.production import plain_http

_PREFIX = "bank_"


class _Reach(BaseModel):
    url: str = Field(description="Base address of {bank}'s API; the paths begin with `/api`.")
    api_key: SecretStr = Field(description="Our key at {bank}, sent as `X-Api-Key`.")
    pages_url: str = Field(
        default="", description="Base address at which browsers find {bank}'s pages, when it differs from the API's."
    )


@dataclass(frozen=True, slots=True)
class BankEndpoint:
    """Where a bank answers, and our key there."""

    code: str
    name: str
    url: str
    api_key: SecretStr
    pages_url: str = ""


@for_each_bank(_Reach, prefix=_PREFIX)
class BankSettings(Settings):
    """The banks' addresses and our keys there, for services that call a bank."""

    @property
    def banks(self) -> dict[str, BankEndpoint]:
        """Every bank by its code."""
        return {
            bank.code: BankEndpoint(bank.code, bank.name, **values_of(self, _Reach, bank.code, prefix=_PREFIX))
            for bank in BANKS.values()
        }

    def refusals(self) -> Iterator[str]:
        """Banks at addresses without TLS, where our key could be read."""
        yield from super().refusals()
        for code, bank in self.banks.items():
            yield from plain_http(f"BATUA_BANK_{code.upper()}_URL", bank.url)
            yield from plain_http(f"BATUA_BANK_{code.upper()}_PAGES_URL", bank.pages_url)
