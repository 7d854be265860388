"""The banks that Batua works with: one line each. Everything that depends on a bank asks this table.

To add a bank, write its adapter, add its line here and open its settlement account in a migration; the steps are in
CONTRIBUTING.md. Many read this table for codes and names alone, such as what starts each process of the local stack, so
it loads no adapter before one is used, and no pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast
from uuid import UUID

if TYPE_CHECKING:
    from shared.banks.notices import Adapter, Notice


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank. A `code` is at most 16 lowercase letters; rows, addresses and settings keep it, so it never changes."""

    code: str
    name: str
    settlement_account_id: UUID
    """The account that mirrors our money at this bank. A migration opens it."""
    ifsc_prefix: str
    """The first four letters of the bank's IFSC codes and of its UTRs."""

    @property
    def adapter(self) -> Adapter:
        """How the bank writes its notices: the module that is named like its code."""
        return _adapter(self.code)

    def has_branch(self, ifsc: str) -> bool:
        """Whether the IFSC names a branch of this bank."""
        return ifsc.startswith(f"{self.ifsc_prefix}0")

    def encode(self, notice: Notice) -> bytes:
        """The body that this bank sends for `notice`."""
        return self.adapter.encode(notice)

    def decode(self, body: bytes) -> Notice:
        """Read a body that this bank sent. Raises NoticeUnreadable."""
        return self.adapter.decode(self.code, body)


@cache
def _adapter(code: str) -> Adapter:
    return cast("Adapter", import_module(f"shared.banks.{code}"))


BANKS = {
    bank.code: bank
    for bank in (
        Bank("hdfc", "HDFC Bank", UUID("00000000-0000-7000-8000-000000000011"), "HDFC"),
        Bank("axis", "Axis Bank", UUID("00000000-0000-7000-8000-000000000012"), "UTIB"),
    )
}
"""Every bank by its code, in the order in which people see them."""
